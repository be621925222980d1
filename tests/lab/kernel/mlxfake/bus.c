// SPDX-License-Identifier: GPL-2.0-only
/* The bus as the driver's core sees it. Registers are accessed by frames (EMADs) that look like packets. */
#include <linux/ktime.h>

#include "mlxfake.h"
#include "cmd.h"
#include "emad.h"
#include "resources.h"
#include "trap.h"

/* Ethernet header of a register frame, padded, before its first TLV. */
#define EMAD_ETH_HEADER	16
#define EMAD_OP_TLV	16
#define EMAD_STRING_TLV	(33 * 4)
#define EMAD_TLV_STRING	2
#define EMAD_METHOD_WRITE	2
#define EMAD_RESPONSE	0x8000

/* What the chip says it has. Sizes are Spectrum's, or large enough never to be met. */
static const struct {
	enum mlxsw_res_id id;
	u64 value;
} resources[] = {
	{ MLXSW_RES_ID_KVD_SIZE, 0x40000 },
	{ MLXSW_RES_ID_KVD_SINGLE_MIN_SIZE, 0x8000 },
	{ MLXSW_RES_ID_KVD_DOUBLE_MIN_SIZE, 0x8000 },
	{ MLXSW_RES_ID_PGT_SIZE, 0xC000 },
	{ MLXSW_RES_ID_MAX_KVD_LINEAR_RANGE, 0x40000 },
	{ MLXSW_RES_ID_MAX_KVD_ACTION_SETS, 0x8000 },
	{ MLXSW_RES_ID_MAX_TRAP_GROUPS, 64 },
	{ MLXSW_RES_ID_COUNTER_POOL_SIZE, 0x10000 },
	{ MLXSW_RES_ID_COUNTER_BANK_SIZE, 4096 },
	{ MLXSW_RES_ID_MAX_SPAN, 8 },
	{ MLXSW_RES_ID_COUNTER_SIZE_PACKETS_BYTES, 2 },
	{ MLXSW_RES_ID_COUNTER_SIZE_ROUTER_BASIC, 6 },
	{ MLXSW_RES_ID_MAX_SYSTEM_PORT, MLXFAKE_PORTS },
	{ MLXSW_RES_ID_FID, MLXFAKE_FIDS },
	{ MLXSW_RES_ID_MAX_LAG, 64 },
	{ MLXSW_RES_ID_MAX_LAG_MEMBERS, 32 },
	{ MLXSW_RES_ID_GUARANTEED_SHARED_BUFFER, 0x1000000 },
	{ MLXSW_RES_ID_CELL_SIZE, 144 },
	{ MLXSW_RES_ID_MAX_HEADROOM_SIZE, 0x80000 },
	{ MLXSW_RES_ID_ACL_MAX_TCAM_REGIONS, 400 },
	{ MLXSW_RES_ID_ACL_MAX_TCAM_RULES, 0x2000 },
	{ MLXSW_RES_ID_ACL_MAX_REGIONS, 400 },
	{ MLXSW_RES_ID_ACL_MAX_GROUPS, 250 },
	{ MLXSW_RES_ID_ACL_MAX_GROUP_SIZE, 15 },
	{ MLXSW_RES_ID_ACL_MAX_DEFAULT_ACTIONS, 400 },
	{ MLXSW_RES_ID_ACL_FLEX_KEYS, 40 },
	{ MLXSW_RES_ID_ACL_MAX_ACTION_PER_RULE, 40 },
	{ MLXSW_RES_ID_ACL_ACTIONS_PER_SET, 4 },
	{ MLXSW_RES_ID_ACL_MAX_ERPT_BANKS, 4 },
	{ MLXSW_RES_ID_ACL_MAX_ERPT_BANK_SIZE, 0x400 },
	{ MLXSW_RES_ID_ACL_MAX_LARGE_KEY_ID, 0x1000 },
	{ MLXSW_RES_ID_ACL_ERPT_ENTRIES_2KB, 1 },
	{ MLXSW_RES_ID_ACL_ERPT_ENTRIES_4KB, 2 },
	{ MLXSW_RES_ID_ACL_ERPT_ENTRIES_8KB, 4 },
	{ MLXSW_RES_ID_ACL_ERPT_ENTRIES_12KB, 6 },
	{ MLXSW_RES_ID_ACL_MAX_BF_LOG, 16 },
	{ MLXSW_RES_ID_MAX_GLOBAL_POLICERS, 1000 },
	{ MLXSW_RES_ID_MAX_CPU_POLICERS, 128 },
	{ MLXSW_RES_ID_MAX_VRS, 256 },
	{ MLXSW_RES_ID_MAX_RIFS, 1000 },
	{ MLXSW_RES_ID_MC_ERIF_LIST_ENTRIES, 9 },
	{ MLXSW_RES_ID_MAX_RIF_MAC_PROFILES, 4 },
	{ MLXSW_RES_ID_MAX_LPM_TREES, 16 },
	{ MLXSW_RES_ID_MAX_NVE_MC_ENTRIES_IPV4, 3 },
	{ MLXSW_RES_ID_MAX_NVE_MC_ENTRIES_IPV6, 2 },
};

/* Whether debugfs asked for this access to fail, and how. */
static u8 injected_failure(struct mlxfake *fake, u16 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fake->failures); i++) {
		struct mlxfake_failure *failure = &fake->failures[i];

		if (failure->reg != id || !failure->count)
			continue;
		if (failure->skip) {
			failure->skip--;
			return 0;
		}
		failure->count--;
		return failure->status;
	}
	return 0;
}

/* Executes the access that the operation TLV at @op asks for, on the register's @payload, both of which become the answer. */
static void access_register(struct mlxfake *fake, char *op, char *payload)
{
	u32 status_word = get_unaligned_be32(op);
	u32 method_word = get_unaligned_be32(op + 4);
	u16 id = method_word >> 16;
	bool write = ((method_word >> 8) & 0x7f) == EMAD_METHOD_WRITE;
	unsigned long flags;
	u8 status;

	spin_lock_irqsave(&fake->lock, flags);
	status = injected_failure(fake, id);
	if (!status)
		status = write ? mlxfake_register_write(fake, id, payload) :
				 mlxfake_register_query(fake, id, payload);
	spin_unlock_irqrestore(&fake->lock, flags);
	put_unaligned_be32((status_word & ~0x7f00) | status << 8, op);
	put_unaligned_be32(method_word | EMAD_RESPONSE, op + 4);
}

static void query_resources(u32 page, char *out)
{
	int i;

	for (i = 0; i < MLXSW_CMD_QUERY_RESOURCES_PER_QUERY; i++) {
		int index = page * MLXSW_CMD_QUERY_RESOURCES_PER_QUERY + i;

		if (index >= ARRAY_SIZE(resources)) {
			mlxsw_cmd_mbox_query_resource_id_set(out, i,
				MLXSW_CMD_QUERY_RESOURCES_TABLE_END_ID);
			return;
		}
		mlxsw_cmd_mbox_query_resource_id_set(out, i, mlxsw_res_ids[resources[index].id]);
		mlxsw_cmd_mbox_query_resource_data_set(out, i, resources[index].value);
	}
}

static int fake_cmd_exec(void *priv, u16 opcode, u8 opcode_mod, u32 in_mod, bool direct,
			 char *in, size_t in_size, char *out, size_t out_size, u8 *status)
{
	*status = 0;
	if (opcode == MLXSW_CMD_OPCODE_QUERY_RESOURCES) {
		query_resources(in_mod, out);
	} else if (opcode == MLXSW_CMD_OPCODE_ACCESS_REG) {
		/* Only until frames can be used: operation TLV, then TLV head, then register. */
		memcpy(out, in, min(in_size, out_size));
		access_register(priv, out, out + EMAD_OP_TLV + 4);
	}
	/* All others (profile, firmware, ...) are accepted. */
	return 0;
}

/* Also called by devlink reload: the chip begins anew. */
static int fake_bus_init(void *priv, struct mlxsw_core *core,
			 const struct mlxsw_config_profile *profile, struct mlxsw_res *res)
{
	struct mlxfake *fake = priv;
	char *mbox = mlxsw_cmd_mbox_alloc();
	u64 single, hash_double, linear;
	int err;

	if (!mbox)
		return -ENOMEM;
	fake->core = core;
	mlxfake_reset_ports(fake);
	fake->ready = true;
	err = mlxsw_core_resources_query(core, mbox, res);
	mlxsw_cmd_mbox_free(mbox);
	if (err || !profile->used_kvd_sizes)
		return err;
	err = mlxsw_core_kvd_sizes_get(core, profile, &single, &hash_double, &linear);
	if (err)
		return err;
	MLXSW_RES_SET(res, KVD_SINGLE_SIZE, single);
	MLXSW_RES_SET(res, KVD_DOUBLE_SIZE, hash_double);
	MLXSW_RES_SET(res, KVD_LINEAR_SIZE, linear);
	return 0;
}

static void fake_bus_fini(void *priv)
{
	struct mlxfake *fake = priv;

	fake->ready = false;
	flush_workqueue(fake->queue);
	mlxfake_forget_everything(fake);
}

static bool fake_skb_transmit_busy(void *priv, const struct mlxsw_tx_info *info)
{
	return false;
}

/* Answers a register frame, from a work item: the driver waits for it with its own locks held. */
static void answer(struct mlxfake *fake, const struct sk_buff *frame)
{
	struct sk_buff *skb = skb_copy(frame, GFP_ATOMIC);
	char *op, *tlv;

	if (!skb)
		return;	/* the driver sends it again */
	skb_pull(skb, MLXFAKE_TX_HEADER);
	op = skb->data + EMAD_ETH_HEADER;
	tlv = op + EMAD_OP_TLV;
	if ((u8)tlv[0] >> 3 == EMAD_TLV_STRING)
		tlv += EMAD_STRING_TLV;
	access_register(fake, op, tlv + 4);
	skb_queue_tail(&fake->answers, skb);
	queue_work(fake->queue, &fake->answer_work);
}

static int fake_skb_transmit(void *priv, struct sk_buff *skb, const struct mlxsw_tx_info *info)
{
	struct mlxfake *fake = priv;

	if (info->is_emad) {
		answer(fake, skb);
		dev_kfree_skb_any(skb);
	} else {
		mlxfake_transmit(fake, skb, info->local_port);
	}
	return 0;
}

void mlxfake_answer_work(struct work_struct *work)
{
	struct mlxfake *fake = container_of(work, struct mlxfake, answer_work);
	struct sk_buff *skb;

	while ((skb = skb_dequeue(&fake->answers))) {
		struct mlxsw_rx_info info = { .trap_id = MLXSW_TRAP_ID_ETHEMAD };

		memset(skb->cb, 0, sizeof(skb->cb));
		local_bh_disable();
		mlxsw_core_skb_receive(fake->core, skb, &info);
		local_bh_enable();
	}
}

static u32 fake_read_frc_h(void *priv)
{
	return ktime_get_ns() >> 32;
}

static u32 fake_read_frc_l(void *priv)
{
	return ktime_get_ns();
}

static u32 fake_read_utc_sec(void *priv)
{
	return ktime_get_real_seconds();
}

static u32 fake_read_utc_nsec(void *priv)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	return now.tv_nsec;
}

const struct mlxsw_bus mlxfake_bus = {
	.kind = "fake",
	.init = fake_bus_init,
	.fini = fake_bus_fini,
	.skb_transmit_busy = fake_skb_transmit_busy,
	.skb_transmit = fake_skb_transmit,
	.cmd_exec = fake_cmd_exec,
	.read_frc_h = fake_read_frc_h,
	.read_frc_l = fake_read_frc_l,
	.read_utc_sec = fake_read_utc_sec,
	.read_utc_nsec = fake_read_utc_nsec,
	.features = MLXSW_BUS_F_TXRX | MLXSW_BUS_F_RESET,
};
