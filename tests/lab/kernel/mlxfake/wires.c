// SPDX-License-Identifier: GPL-2.0-only
/*
 * The front panel. Each port has a device "wireN", which is the cable's far end: what the CPU sends out of the port
 * arrives there, and what is sent there is given to the CPU as if the chip had trapped it, not marked as forwarded. So
 * Linux forwards everything in software, and packets really get to where the chip would have sent them.
 */
#include <linux/ethtool.h>
#include <linux/if_vlan.h>

#include "mlxfake.h"
#include "emad.h"
#include "trap.h"

/* Frames that may wait for the CPU: more than a burst, less than what exhausts a small machine. */
#define RECEIVE_QUEUE	2000

/* The driver names this register (port up/down event) only in its list of traps. */
#define PUDE_ID	0x5009

struct wire {
	struct mlxfake *fake;
	u16 local_port;
};

/* Module m of the panel is local port m * width + 1: the numbers between are for when it is split. */
void mlxfake_reset_ports(struct mlxfake *fake)
{
	int i;

	for (i = 1; i <= MLXFAKE_PORTS; i++) {
		struct mlxfake_port *port = &fake->ports[i];
		int module = (i - 1) / mlxfake_width;
		bool first = (i - 1) % mlxfake_width == 0;
		struct net_device *wire = port->wire;

		memset(port, 0, sizeof(*port));
		port->wire = wire;
		if (first && module < mlxfake_ports) {
			port->width = mlxfake_width;
			port->module = module;
		}
	}
}

/* From the CPU to the cable. */
void mlxfake_transmit(struct mlxfake *fake, struct sk_buff *skb, u16 local_port)
{
	struct mlxfake_port *port = local_port <= MLXFAKE_PORTS ? &fake->ports[local_port] : NULL;
	struct net_device *wire = port ? port->wire : NULL;

	skb_orphan(skb);
	if (!wire || !netif_running(wire) || !port->oper_up || skb_linearize(skb)) {
		dev_kfree_skb_any(skb);
		return;
	}
	skb_pull(skb, MLXFAKE_TX_HEADER);
	skb_scrub_packet(skb, true);
	skb->protocol = eth_type_trans(skb, wire);
	wire->stats.rx_packets++;
	wire->stats.rx_bytes += skb->len;
	netif_rx(skb);
}

static u16 fid_of_frame(struct mlxfake *fake, const struct sk_buff *skb, u16 local_port)
{
	const struct vlan_ethhdr *header = (void *)skb->data;
	const struct mlxfake_port *port = &fake->ports[local_port];
	u16 vlan = 0;

	if (skb_vlan_tag_present(skb))
		vlan = skb_vlan_tag_get_id(skb);
	else if (header->h_vlan_proto == htons(ETH_P_8021Q))
		vlan = ntohs(header->h_vlan_TCI) & VLAN_VID_MASK;
	vlan = vlan ?: port->pvid;
	return port->fid_of_vlan[vlan] ?: fake->fid_of_vlan[vlan];
}

/* As the chip does it: a new or moved station is stored and the driver is told. Entries of the driver's stay. */
static void learn(struct mlxfake *fake, struct sk_buff *skb, u16 local_port)
{
	const struct ethhdr *header = (void *)skb->data;
	const struct mlxfake_port *port = &fake->ports[local_port];
	struct mlxfake_entry wanted = {
		.table = MLXFAKE_FDB,
		.type = port->in_lag ? MLXSW_REG_SFD_REC_TYPE_UNICAST_LAG : MLXSW_REG_SFD_REC_TYPE_UNICAST,
		.value = port->in_lag ? port->lag : local_port,
		.policy = MLXSW_REG_SFD_REC_POLICY_DYNAMIC_ENTRY_INGRESS,
	};
	struct mlxfake_notice notice = {
		.type = port->in_lag ? MLXSW_REG_SFN_REC_TYPE_LEARNED_MAC_LAG :
				       MLXSW_REG_SFN_REC_TYPE_LEARNED_MAC,
		.value = wanted.value,
	};
	struct mlxfake_entry *entry;
	unsigned long flags;

	if (!mlxfake_learn || !is_valid_ether_addr(header->h_source))
		return;
	spin_lock_irqsave(&fake->lock, flags);
	notice.fid = fid_of_frame(fake, skb, local_port);
	if (!notice.fid || notice.fid >= MLXFAKE_FIRST_RFID)
		goto out;
	memcpy(notice.mac, header->h_source, ETH_ALEN);
	mlxfake_fdb_key(wanted.key, header->h_source, notice.fid);
	entry = mlxfake_find(fake, MLXFAKE_FDB, wanted.key);
	if (entry) {
		entry->seen = jiffies;
		if (entry->policy == MLXSW_REG_SFD_REC_POLICY_STATIC_ENTRY ||
		    (entry->type == wanted.type && entry->value == wanted.value))
			goto out;
	}
	if (!mlxfake_store(fake, &wanted))
		mlxfake_notify(fake, &notice);
out:
	spin_unlock_irqrestore(&fake->lock, flags);
}

static netdev_tx_t wire_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct wire *wire = netdev_priv(dev);
	struct mlxfake *fake = wire->fake;

	dev->stats.tx_packets++;
	dev->stats.tx_bytes += skb->len;
	skb_orphan(skb);
	if (!fake->ports[wire->local_port].oper_up || skb_queue_len(&fake->received) > RECEIVE_QUEUE) {
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	skb = skb_unshare(skb, GFP_ATOMIC);
	if (!skb)
		return NETDEV_TX_OK;
	learn(fake, skb, wire->local_port);
	skb_scrub_packet(skb, true);
	/* The mark is free now: it carries the port to the work item. */
	skb->mark = wire->local_port;
	skb_queue_tail(&fake->received, skb);
	queue_work(fake->queue, &fake->receive_work);
	return NETDEV_TX_OK;
}

/* From the cable to the CPU. */
void mlxfake_receive_work(struct work_struct *work)
{
	struct mlxfake *fake = container_of(work, struct mlxfake, receive_work);
	struct sk_buff *skb;

	while ((skb = skb_dequeue(&fake->received))) {
		struct mlxsw_rx_info info = { .trap_id = MLXSW_TRAP_ID_FID_MISS };

		if (!fake->ready) {
			kfree_skb(skb);
			continue;
		}
		info.u.sys_port = skb->mark;
		skb->mark = 0;
		memset(skb->cb, 0, sizeof(skb->cb));
		local_bh_disable();
		mlxsw_core_skb_receive(fake->core, skb, &info);
		local_bh_enable();
	}
}

/* Tells the driver about a link, with the frame (PUDE event) by which the chip does it. */
static void send_link_event(struct mlxfake *fake, u16 local_port)
{
	const struct mlxfake_port *port = &fake->ports[local_port];
	struct mlxsw_rx_info info = { .trap_id = MLXSW_TRAP_ID_PUDE };
	struct sk_buff *skb = alloc_skb(256, GFP_KERNEL);
	char *frame, *pude;

	if (!skb)
		return;
	/* Ethernet header, operation TLV (type 1, 4 words, method 5: event), register TLV (type 3), register, end. */
	frame = skb_put_zero(skb, 16 + 16 + 4 + MLXSW_REG_PUDE_LEN + 4);
	put_unaligned_be32(1 << 27 | 4 << 16, frame + 16);
	put_unaligned_be32(PUDE_ID << 16 | 5 << 8 | 1, frame + 20);
	put_unaligned_be32(3 << 27 | (MLXSW_REG_PUDE_LEN / 4 + 1) << 16, frame + 32);
	pude = frame + 36;
	mlxsw_reg_pude_local_port_set(pude, local_port);
	mlxsw_reg_pude_admin_status_set(pude, port->admin_up ? 1 : 2);
	mlxsw_reg_pude_oper_status_set(pude, port->oper_up ? MLXSW_PORT_OPER_STATUS_UP :
							     MLXSW_PORT_OPER_STATUS_DOWN);
	memset(skb->cb, 0, sizeof(skb->cb));
	local_bh_disable();
	mlxsw_core_skb_receive(fake->core, skb, &info);
	local_bh_enable();
}

/* A link is up when both of its ends are. */
void mlxfake_link_work(struct work_struct *work)
{
	struct mlxfake *fake = container_of(work, struct mlxfake, link_work);
	int i;

	for (i = 1; fake->ready && i <= MLXFAKE_PORTS; i++) {
		struct mlxfake_port *port = &fake->ports[i];
		bool up = port->admin_up && port->wire && netif_running(port->wire);

		if (up == port->oper_up)
			continue;
		port->oper_up = up;
		send_link_event(fake, i);
	}
}

void mlxfake_ageing_work(struct work_struct *work)
{
	struct mlxfake *fake = container_of(to_delayed_work(work), struct mlxfake, ageing_work);
	struct mlxfake_entry *entry;
	struct hlist_node *next;
	unsigned long flags;
	int bucket;

	spin_lock_irqsave(&fake->lock, flags);
	hash_for_each_safe(fake->entries, bucket, next, entry, node) {
		struct mlxfake_notice notice = { .value = entry->value };
		bool lag = entry->type == MLXSW_REG_SFD_REC_TYPE_UNICAST_LAG;

		if (entry->table != MLXFAKE_FDB || !fake->ageing_seconds ||
		    entry->policy != MLXSW_REG_SFD_REC_POLICY_DYNAMIC_ENTRY_INGRESS ||
		    (entry->type != MLXSW_REG_SFD_REC_TYPE_UNICAST && !lag) ||
		    time_before(jiffies, entry->seen + fake->ageing_seconds * HZ))
			continue;
		notice.type = lag ? MLXSW_REG_SFN_REC_TYPE_AGED_OUT_MAC_LAG :
				    MLXSW_REG_SFN_REC_TYPE_AGED_OUT_MAC;
		notice.fid = mlxfake_fdb_fid(entry);
		memcpy(notice.mac, entry->key, ETH_ALEN);
		mlxfake_notify(fake, &notice);
		mlxfake_remove(fake, entry);
	}
	spin_unlock_irqrestore(&fake->lock, flags);
	queue_delayed_work(fake->queue, &fake->ageing_work, HZ);
}

static int wire_open(struct net_device *dev)
{
	struct wire *wire = netdev_priv(dev);

	netif_carrier_on(dev);
	queue_work(wire->fake->queue, &wire->fake->link_work);
	return 0;
}

static int wire_stop(struct net_device *dev)
{
	struct wire *wire = netdev_priv(dev);

	queue_work(wire->fake->queue, &wire->fake->link_work);
	return 0;
}

static const struct net_device_ops wire_ops = {
	.ndo_open = wire_open,
	.ndo_stop = wire_stop,
	.ndo_start_xmit = wire_start_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

/* A bond of wires, at the far end, negotiates only over links of known speed. */
static int wire_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	settings->base.speed = SPEED_100000;
	settings->base.duplex = DUPLEX_FULL;
	return 0;
}

static const struct ethtool_ops wire_ethtool_ops = {
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = wire_get_link_ksettings,
};

static int add_wire(struct mlxfake *fake, u16 local_port)
{
	struct mlxfake_port *port = &fake->ports[local_port];
	struct net_device *dev;
	char name[IFNAMSIZ];
	struct wire *wire;
	int err;

	snprintf(name, sizeof(name), "wire%d", port->module + 1);
	dev = alloc_netdev(sizeof(*wire), name, NET_NAME_USER, ether_setup);
	if (!dev)
		return -ENOMEM;
	wire = netdev_priv(dev);
	wire->fake = fake;
	wire->local_port = local_port;
	dev->netdev_ops = &wire_ops;
	dev->ethtool_ops = &wire_ethtool_ops;
	dev->max_mtu = 10240;
	dev->features |= NETIF_F_LLTX;
	eth_hw_addr_random(dev);
	err = register_netdev(dev);
	if (err) {
		free_netdev(dev);
		return err;
	}
	port->wire = dev;
	return 0;
}

int mlxfake_add_wires(struct mlxfake *fake)
{
	int i, err;

	for (i = 1; i <= MLXFAKE_PORTS; i++) {
		if (!fake->ports[i].width)
			continue;
		err = add_wire(fake, i);
		if (err)
			return err;
	}
	return 0;
}

void mlxfake_remove_wires(struct mlxfake *fake)
{
	int i;

	for (i = 1; i <= MLXFAKE_PORTS; i++) {
		struct net_device *dev = fake->ports[i].wire;

		if (!dev)
			continue;
		unregister_netdev(dev);
		fake->ports[i].wire = NULL;
		cancel_work_sync(&fake->link_work);
		free_netdev(dev);
	}
}
