// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/mlxfake: looking into the chip, limiting it, breaking it.
 *
 * tables		read: all that the chip holds; write nothing
 * fdb_max, lpm4_max, lpm6_max	entries that fit; an entry beyond is refused as the chip refuses it
 * fail		"REGISTER COUNT [SKIP [STATUS]]": the next COUNT accesses fail, after SKIP good ones
 * refuse		"MAC": no entry is taken for it; "-MAC": it is again
 * lose		"MAC FID": the chip forgets an entry and tells nobody
 * notify		"TYPE MAC FID VALUE": the chip tells the driver about its MAC table (SFN record types)
 * temperature, module_temperature (millidegrees), fan_rpm
 * writes, queries	accesses so far
 */
#include "mlxfake.h"
#include "emad.h"

static int tables_show(struct seq_file *seq, void *unused)
{
	struct mlxfake *fake = seq->private;
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	mlxfake_show(fake, seq);
	spin_unlock_irqrestore(&fake->lock, flags);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tables);

/* One line from user space, into a buffer of @size. */
static ssize_t read_line(const char __user *from, size_t count, char *line, size_t size)
{
	if (count >= size)
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	line[count] = 0;
	return 0;
}

/* A register's number, by the name that it has in the driver ("ralue"); 0 if there is none. */
static u16 register_by_name(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mlxsw_reg_infos); i++)
		if (!strcasecmp(mlxsw_reg_infos[i]->name, name))
			return mlxsw_reg_infos[i]->id;
	return 0;
}

static ssize_t fail_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	unsigned int accesses, skip = 0, status = MLXSW_EMAD_OP_TLV_STATUS_RESOURCE_NOT_AVAILABLE;
	struct mlxfake *fake = file->private_data;
	char line[64], name[16];
	unsigned long flags;
	int err, i;
	u16 reg;

	err = read_line(from, count, line, sizeof(line));
	if (err)
		return err;
	if (sscanf(line, "%15s %u %u %u", name, &accesses, &skip, &status) < 2)
		return -EINVAL;
	reg = register_by_name(name);
	if (!reg)
		return -ENOENT;
	err = -ENOSPC;
	spin_lock_irqsave(&fake->lock, flags);
	for (i = 0; i < ARRAY_SIZE(fake->failures); i++) {
		struct mlxfake_failure *failure = &fake->failures[i];

		if (failure->reg != reg && failure->reg)
			continue;
		failure->reg = reg;
		failure->skip = skip;
		failure->count = accesses;
		failure->status = status;
		err = 0;
		break;
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	return err ?: count;
}

static ssize_t refuse_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct mlxfake *fake = file->private_data;
	struct mlxfake_refusal *free = NULL;
	unsigned long flags;
	u8 mac[ETH_ALEN];
	char line[32];
	bool again;
	int err, i;

	err = read_line(from, count, line, sizeof(line));
	if (err)
		return err;
	again = line[0] == '-';
	if (!mac_pton(line + again, mac))
		return -EINVAL;
	spin_lock_irqsave(&fake->lock, flags);
	for (i = 0; i < ARRAY_SIZE(fake->refusals); i++) {
		struct mlxfake_refusal *refusal = &fake->refusals[i];

		if (refusal->used && ether_addr_equal_unaligned(refusal->mac, mac))
			refusal->used = false;
		if (!refusal->used)
			free = refusal;
	}
	if (!again && free) {
		free->used = true;
		memcpy(free->mac, mac, ETH_ALEN);
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	return again || free ? count : -ENOSPC;
}

static ssize_t lose_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct mlxfake *fake = file->private_data;
	struct mlxfake_entry *entry;
	u8 mac[ETH_ALEN], key[MLXFAKE_KEY];
	unsigned long flags;
	unsigned int fid;
	char line[32];
	int err;

	err = read_line(from, count, line, sizeof(line));
	if (err)
		return err;
	if (!mac_pton(line, mac) || sscanf(line + 17, "%u", &fid) != 1)
		return -EINVAL;
	mlxfake_fdb_key(key, mac, fid);
	spin_lock_irqsave(&fake->lock, flags);
	entry = mlxfake_find(fake, MLXFAKE_FDB, key);
	if (entry)
		mlxfake_remove(fake, entry);
	spin_unlock_irqrestore(&fake->lock, flags);
	return entry ? count : -ENOENT;
}

static ssize_t notify_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct mlxfake *fake = file->private_data;
	struct mlxfake_notice notice = {};
	unsigned int type, fid, value;
	unsigned long flags;
	char line[96];
	int err, at;

	err = read_line(from, count, line, sizeof(line));
	if (err)
		return err;
	if (sscanf(line, "%u %n", &type, &at) != 1 || strlen(line + at) < 17 ||
	    !mac_pton(line + at, notice.mac) || sscanf(line + at + 17, "%u %x", &fid, &value) != 2)
		return -EINVAL;
	notice.type = type;
	notice.fid = fid;
	notice.value = value;
	spin_lock_irqsave(&fake->lock, flags);
	mlxfake_notify(fake, &notice);
	spin_unlock_irqrestore(&fake->lock, flags);
	return count;
}

static const struct file_operations fail_fops = { .open = simple_open, .write = fail_write };
static const struct file_operations refuse_fops = { .open = simple_open, .write = refuse_write };
static const struct file_operations lose_fops = { .open = simple_open, .write = lose_write };
static const struct file_operations notify_fops = { .open = simple_open, .write = notify_write };

void mlxfake_add_debugfs(struct mlxfake *fake)
{
	struct dentry *dir = debugfs_create_dir("mlxfake", NULL);

	fake->debugfs = dir;
	debugfs_create_file("tables", 0444, dir, fake, &tables_fops);
	debugfs_create_file("fail", 0200, dir, fake, &fail_fops);
	debugfs_create_file("refuse", 0200, dir, fake, &refuse_fops);
	debugfs_create_file("lose", 0200, dir, fake, &lose_fops);
	debugfs_create_file("notify", 0200, dir, fake, &notify_fops);
	debugfs_create_u32("fdb_max", 0644, dir, &fake->limit[MLXFAKE_FDB]);
	debugfs_create_u32("lpm4_max", 0644, dir, &fake->limit[MLXFAKE_LPM4]);
	debugfs_create_u32("lpm6_max", 0644, dir, &fake->limit[MLXFAKE_LPM6]);
	debugfs_create_u32("temperature", 0644, dir, &fake->temperature);
	debugfs_create_u32("module_temperature", 0644, dir, &fake->module_temperature);
	debugfs_create_u32("fan_rpm", 0644, dir, &fake->fan_rpm);
	debugfs_create_u64("writes", 0444, dir, &fake->writes);
	debugfs_create_u64("queries", 0444, dir, &fake->queries);
}
