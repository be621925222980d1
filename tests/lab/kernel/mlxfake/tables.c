// SPDX-License-Identifier: GPL-2.0-only
/* What the chip holds. The kernel's offload flags say what the driver believes; this is what it wrote. */
#include <linux/jhash.h>

#include "mlxfake.h"

static const char * const table_names[] = { "fdb", "lpm4", "lpm6" };

void mlxfake_fdb_key(u8 *key, const u8 *mac, u16 fid)
{
	memset(key, 0, MLXFAKE_KEY);
	memcpy(key, mac, ETH_ALEN);
	put_unaligned_be16(fid, key + ETH_ALEN);
}

u16 mlxfake_fdb_fid(const struct mlxfake_entry *entry)
{
	return get_unaligned_be16(entry->key + ETH_ALEN);
}

static u32 hash_of(enum mlxfake_table table, const u8 *key)
{
	return jhash(key, MLXFAKE_KEY, table);
}

struct mlxfake_entry *mlxfake_find(struct mlxfake *fake, enum mlxfake_table table, const u8 *key)
{
	struct mlxfake_entry *entry;

	hash_for_each_possible(fake->entries, entry, node, hash_of(table, key))
		if (entry->table == table && !memcmp(entry->key, key, MLXFAKE_KEY))
			return entry;
	return NULL;
}

/* Adds or replaces. A full table takes no new entries, and an entry that is there can always be replaced. */
int mlxfake_store(struct mlxfake *fake, const struct mlxfake_entry *wanted)
{
	struct mlxfake_entry *entry = mlxfake_find(fake, wanted->table, wanted->key);

	if (!entry) {
		if (fake->occupancy[wanted->table] >= fake->limit[wanted->table]) {
			fake->rejected[wanted->table]++;
			return -ENOSPC;
		}
		entry = kzalloc(sizeof(*entry), GFP_ATOMIC);
		if (!entry)
			return -ENOMEM;
		entry->table = wanted->table;
		memcpy(entry->key, wanted->key, MLXFAKE_KEY);
		hash_add(fake->entries, &entry->node, hash_of(entry->table, entry->key));
		fake->occupancy[entry->table]++;
	}
	entry->type = wanted->type;
	entry->value = wanted->value;
	entry->policy = wanted->policy;
	entry->decap = wanted->decap;
	entry->ipv6 = wanted->ipv6;
	entry->seen = jiffies;
	return 0;
}

void mlxfake_remove(struct mlxfake *fake, struct mlxfake_entry *entry)
{
	fake->occupancy[entry->table]--;
	hash_del(&entry->node);
	kfree(entry);
}

bool mlxfake_refuses(const struct mlxfake *fake, const u8 *mac)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fake->refusals); i++)
		if (fake->refusals[i].used && ether_addr_equal_unaligned(fake->refusals[i].mac, mac))
			return true;
	return false;
}

static struct mlxfake_flood *flood_find(struct mlxfake *fake, u32 pointer)
{
	struct mlxfake_flood *flood;

	hash_for_each_possible(fake->floods, flood, node, pointer)
		if (flood->pointer == pointer)
			return flood;
	return NULL;
}

void mlxfake_flood_store(struct mlxfake *fake, const struct mlxfake_flood *wanted)
{
	struct mlxfake_flood *flood = flood_find(fake, wanted->pointer);
	struct hlist_node node;

	if (!flood) {
		flood = kzalloc(sizeof(*flood), GFP_ATOMIC);
		if (!flood)
			return;
		hash_add(fake->floods, &flood->node, wanted->pointer);
	}
	node = flood->node;
	*flood = *wanted;
	flood->node = node;
}

/* The driver fetches notices twice a second; what does not fit is lost, as in the chip. */
void mlxfake_notify(struct mlxfake *fake, const struct mlxfake_notice *notice)
{
	if (fake->notice_count < ARRAY_SIZE(fake->notices))
		fake->notices[fake->notice_count++] = *notice;
}

void mlxfake_forget_everything(struct mlxfake *fake)
{
	struct mlxfake_entry *entry;
	struct mlxfake_flood *flood;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&fake->lock, flags);
	hash_for_each_safe(fake->entries, bucket, next, entry, node)
		mlxfake_remove(fake, entry);
	hash_for_each_safe(fake->floods, bucket, next, flood, node) {
		hash_del(&flood->node);
		kfree(flood);
	}
	memset(fake->fids, 0, MLXFAKE_FIDS * sizeof(*fake->fids));
	memset(fake->fid_of_vlan, 0, sizeof(fake->fid_of_vlan));
	fake->notice_count = 0;
	spin_unlock_irqrestore(&fake->lock, flags);
}

static void show_fdb(struct seq_file *seq, const struct mlxfake_entry *entry)
{
	seq_printf(seq, "fdb %pM fid %u ", entry->key, mlxfake_fdb_fid(entry));
	switch (entry->type) {
	case MLXSW_REG_SFD_REC_TYPE_UNICAST_TUNNEL: {
		__be32 address = cpu_to_be32(entry->value);

		if (entry->ipv6)
			seq_printf(seq, "tunnel6 pointer %u\n", entry->value);
		else
			seq_printf(seq, "tunnel %pI4\n", &address);
		break;
	}
	case MLXSW_REG_SFD_REC_TYPE_UNICAST_LAG:
		seq_printf(seq, "lag %u\n", entry->value);
		break;
	case MLXSW_REG_SFD_REC_TYPE_MULTICAST:
		seq_printf(seq, "multicast %u\n", entry->value);
		break;
	default:
		seq_printf(seq, "port %u\n", entry->value);
	}
}

static void show_route(struct seq_file *seq, const struct mlxfake_entry *entry)
{
	static const char * const traps[] = { "", " trap", " mirror_to_cpu", " mirror", " discard" };
	const char *trap = entry->policy < ARRAY_SIZE(traps) ? traps[entry->policy] : "";

	if (entry->table == MLXFAKE_LPM4)
		seq_printf(seq, "lpm4 vr %u %pI4/%u ", entry->key[0], entry->key + 2, entry->key[1]);
	else
		seq_printf(seq, "lpm6 vr %u %pI6c/%u ", entry->key[0], entry->key + 2, entry->key[1]);
	if (entry->type == MLXSW_REG_RALUE_ACTION_TYPE_REMOTE)
		seq_printf(seq, "remote adjacency %u%s\n", entry->value, trap);
	else if (entry->type == MLXSW_REG_RALUE_ACTION_TYPE_LOCAL)
		seq_printf(seq, "local rif %u%s\n", entry->value, trap);
	else
		seq_printf(seq, "ip2me%s\n", entry->decap ? " decap" : "");
}

/* Flood lists as the chip walks them: from the FID along the records. */
static void show_fid(struct mlxfake *fake, struct seq_file *seq, u16 index)
{
	const struct mlxfake_fid *fid = &fake->fids[index];
	const struct mlxfake_flood *flood;
	int records = 0, i;

	seq_printf(seq, "fid %u vni %u flood", index, fid->vni);
	flood = fid->flood_valid ? flood_find(fake, fid->flood) : NULL;
	/* A list that turns back on itself must not turn us. */
	while (flood && records++ < 10000) {
		for (i = 0; i < flood->size && i < ARRAY_SIZE(flood->address); i++) {
			__be32 address = cpu_to_be32(flood->address[i]);

			if (flood->ipv6)
				seq_printf(seq, " pointer:%u", flood->address[i]);
			else
				seq_printf(seq, " %pI4", &address);
		}
		flood = flood->last ? NULL : flood_find(fake, flood->next);
	}
	seq_puts(seq, "\n");
}

void mlxfake_show(struct mlxfake *fake, struct seq_file *seq)
{
	struct mlxfake_entry *entry;
	int i, bucket;

	for (i = 0; i < MLXFAKE_TABLES; i++)
		seq_printf(seq, "# %s occ %u limit %u rejected %u\n", table_names[i],
			   fake->occupancy[i], fake->limit[i], fake->rejected[i]);
	for (i = 0; i < MLXFAKE_FIDS; i++)
		if (fake->fids[i].vni_valid)
			show_fid(fake, seq, i);
	hash_for_each(fake->entries, bucket, entry, node) {
		if (entry->table == MLXFAKE_FDB)
			show_fdb(seq, entry);
		else
			show_route(seq, entry);
	}
}
