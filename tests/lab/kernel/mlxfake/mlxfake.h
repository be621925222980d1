/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mlxfake: a fake register bus under the unmodified driver mlxsw_spectrum. Lab only.
 *
 * main.c	module, creation and removal
 * bus.c	what the driver's core calls: commands, register frames, packets
 * registers.c	what the registers do
 * tables.c	what the chip holds: MAC table, routes, FIDs, flood lists
 * wires.c	the front panel: cables, links, learning and ageing
 * debugfs.c	looking into the chip, limiting it, breaking it
 */
#ifndef MLXFAKE_H
#define MLXFAKE_H

#include <linux/debugfs.h>
#include <linux/etherdevice.h>
#include <linux/hashtable.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "core.h"
#include "reg.h"

/* Local ports are numbered from 1. */
#define MLXFAKE_PORTS	64
#define MLXFAKE_VLANS	4096
/* FIDs above belong to router interfaces of ports: nothing is learned there. */
#define MLXFAKE_FIRST_RFID	5120
#define MLXFAKE_FIDS	0x3C00
/* The header that the driver puts before every frame it sends. */
#define MLXFAKE_TX_HEADER	16
#define MLXFAKE_KEY	24

enum mlxfake_table {
	MLXFAKE_FDB,
	MLXFAKE_LPM4,
	MLXFAKE_LPM6,
	MLXFAKE_TABLES,
};

/* One entry of a table that the chip holds. */
struct mlxfake_entry {
	struct hlist_node node;
	enum mlxfake_table table;
	/* FDB: MAC, FID. LPM: virtual router, prefix length, address. */
	u8 key[MLXFAKE_KEY];
	/* FDB: record type. LPM: action. */
	u8 type;
	/* FDB: port, LAG or tunnel's address. LPM: adjacency index. */
	u32 value;
	/* FDB: policy, which says who may age it. LPM: trap action. */
	u8 policy;
	/* LPM: an address of ours at which tunnels end. */
	bool decap;
	/* FDB: the tunnel's address is IPv6, and @value points to it. */
	bool ipv6;
	unsigned long seen;
};

/* A notification about the MAC table that the driver has not fetched yet. */
struct mlxfake_notice {
	u8 type;
	u8 mac[ETH_ALEN];
	u16 fid;
	u32 value;
};

/* "Fail the next @count accesses to @reg, after @skip good ones, with @status." */
struct mlxfake_failure {
	u16 reg;
	u32 skip;
	u32 count;
	u8 status;
};

/* "Take no entry for this MAC." */
struct mlxfake_refusal {
	bool used;
	u8 mac[ETH_ALEN];
};

struct mlxfake_fid {
	bool vni_valid;
	u32 vni;
	bool flood_valid;
	u32 flood;
};

/* A part of a list of remote VTEPs to which broadcast is sent. */
struct mlxfake_flood {
	struct hlist_node node;
	u32 pointer;
	u32 next;
	bool last;
	u8 size;
	bool ipv6;
	u32 address[3];
};

struct mlxfake_port {
	u8 width;
	u8 module;
	u8 lane;
	u32 speed;
	u16 pvid;
	bool in_lag;
	u16 lag;
	bool admin_up;
	bool oper_up;
	struct net_device *wire;
	u16 fid_of_vlan[MLXFAKE_VLANS];
};

struct mlxfake {
	struct platform_device *pdev;
	struct mlxsw_core *core;
	struct mlxsw_bus_info info;
	struct dentry *debugfs;
	/* Between init and fini of the bus: the driver may be talked to. */
	bool ready;

	/* Protects all of the chip's state below. */
	spinlock_t lock;
	DECLARE_HASHTABLE(entries, 12);
	DECLARE_HASHTABLE(floods, 8);
	u32 occupancy[MLXFAKE_TABLES];
	u32 limit[MLXFAKE_TABLES];
	u32 rejected[MLXFAKE_TABLES];
	struct mlxfake_fid *fids;
	struct mlxfake_port *ports;
	u16 fid_of_vlan[MLXFAKE_VLANS];
	u32 ageing_seconds;
	struct mlxfake_notice notices[256];
	unsigned int notice_count;
	struct mlxfake_failure failures[8];
	struct mlxfake_refusal refusals[8];
	u64 writes;
	u64 queries;
	u32 temperature;
	u32 module_temperature;
	u32 fan_rpm;
	u8 fan_pwm;

	struct workqueue_struct *queue;
	struct sk_buff_head received;
	struct work_struct receive_work;
	struct sk_buff_head answers;
	struct work_struct answer_work;
	struct work_struct link_work;
	struct delayed_work ageing_work;
};

/* main.c */
extern int mlxfake_ports;
extern int mlxfake_width;
extern bool mlxfake_learn;
extern int mlxfake_number;

/* bus.c */
extern const struct mlxsw_bus mlxfake_bus;
void mlxfake_answer_work(struct work_struct *work);

/* registers.c */
u8 mlxfake_register_write(struct mlxfake *fake, u16 id, char *payload);
u8 mlxfake_register_query(struct mlxfake *fake, u16 id, char *payload);

/* tables.c; all with the lock held */
void mlxfake_fdb_key(u8 *key, const u8 *mac, u16 fid);
u16 mlxfake_fdb_fid(const struct mlxfake_entry *entry);
struct mlxfake_entry *mlxfake_find(struct mlxfake *fake, enum mlxfake_table table, const u8 *key);
int mlxfake_store(struct mlxfake *fake, const struct mlxfake_entry *wanted);
void mlxfake_remove(struct mlxfake *fake, struct mlxfake_entry *entry);
bool mlxfake_refuses(const struct mlxfake *fake, const u8 *mac);
void mlxfake_flood_store(struct mlxfake *fake, const struct mlxfake_flood *wanted);
void mlxfake_notify(struct mlxfake *fake, const struct mlxfake_notice *notice);
void mlxfake_forget_everything(struct mlxfake *fake);
void mlxfake_show(struct mlxfake *fake, struct seq_file *seq);

/* wires.c */
void mlxfake_reset_ports(struct mlxfake *fake);
int mlxfake_add_wires(struct mlxfake *fake);
void mlxfake_remove_wires(struct mlxfake *fake);
void mlxfake_transmit(struct mlxfake *fake, struct sk_buff *skb, u16 local_port);
void mlxfake_receive_work(struct work_struct *work);
void mlxfake_link_work(struct work_struct *work);
void mlxfake_ageing_work(struct work_struct *work);

/* debugfs.c */
void mlxfake_add_debugfs(struct mlxfake *fake);

#endif
