// SPDX-License-Identifier: GPL-2.0-only
/*
 * What registers do. A write without a handler here is acknowledged and forgotten; a query without one returns what was
 * asked with zeros, which is a plausible answer for most. All with the lock held.
 */
#include "mlxfake.h"
#include "emad.h"
#include "port.h"

/* ---- MAC table ---- */

static u32 sfd_value(const char *payload, int i, u8 type)
{
	switch (type) {
	case MLXSW_REG_SFD_REC_TYPE_UNICAST_TUNNEL:
		return mlxsw_reg_sfd_uc_tunnel_uip_msb_get(payload, i) << 24 |
		       mlxsw_reg_sfd_uc_tunnel_uip_lsb_get(payload, i);
	case MLXSW_REG_SFD_REC_TYPE_UNICAST_LAG:
		return mlxsw_reg_sfd_uc_lag_lag_id_get(payload, i);
	case MLXSW_REG_SFD_REC_TYPE_MULTICAST:
		return mlxsw_reg_sfd_mc_mid_get(payload, i);
	default:
		return mlxsw_reg_sfd_uc_system_port_get(payload, i);
	}
}

/* Whether record @i was taken. */
static bool sfd_record(struct mlxfake *fake, char *payload, int i)
{
	u8 type = mlxsw_reg_sfd_rec_type_get(payload, i);
	struct mlxfake_entry wanted = {
		.table = MLXFAKE_FDB,
		.type = type,
		.value = sfd_value(payload, i, type),
		.policy = mlxsw_reg_sfd_rec_policy_get(payload, i),
		.ipv6 = type == MLXSW_REG_SFD_REC_TYPE_UNICAST_TUNNEL &&
			mlxsw_reg_sfd_uc_tunnel_protocol_get(payload, i) ==
			MLXSW_REG_SFD_UC_TUNNEL_PROTOCOL_IPV6,
	};
	struct mlxfake_entry *entry;
	char mac[ETH_ALEN];

	mlxsw_reg_sfd_rec_mac_memcpy_from(payload, i, mac);
	/* All kinds of records have their FID at the same place. */
	mlxfake_fdb_key(wanted.key, mac, mlxsw_reg_sfd_uc_fid_vid_get(payload, i));
	if (mlxsw_reg_sfd_op_get(payload) == MLXSW_REG_SFD_OP_WRITE_REMOVE) {
		entry = mlxfake_find(fake, MLXFAKE_FDB, wanted.key);
		if (entry)
			mlxfake_remove(fake, entry);
		return true;
	}
	return !mlxfake_refuses(fake, mac) && !mlxfake_store(fake, &wanted);
}

/* A chip that cannot take a record says so by the number of records it has taken, not by a status. */
static u8 sfd_write(struct mlxfake *fake, char *payload)
{
	int count = mlxsw_reg_sfd_num_rec_get(payload);
	int i;

	for (i = 0; i < count; i++)
		if (!sfd_record(fake, payload, i))
			break;
	mlxsw_reg_sfd_num_rec_set(payload, i);
	return 0;
}

static bool is_flushed(const struct mlxfake_entry *entry, const char *payload)
{
	bool unicast = entry->type == MLXSW_REG_SFD_REC_TYPE_UNICAST;
	bool lag = entry->type == MLXSW_REG_SFD_REC_TYPE_UNICAST_LAG;
	bool tunnel = entry->type == MLXSW_REG_SFD_REC_TYPE_UNICAST_TUNNEL;
	u16 fid = mlxfake_fdb_fid(entry);

	if (entry->table != MLXFAKE_FDB || (!entry->policy && !mlxsw_reg_sfdf_flush_static_get(payload)))
		return false;
	switch (mlxsw_reg_sfdf_flush_type_get(payload)) {
	case MLXSW_REG_SFDF_FLUSH_PER_FID:
		return fid == mlxsw_reg_sfdf_fid_get(payload);
	case MLXSW_REG_SFDF_FLUSH_PER_PORT:
		return unicast && entry->value == mlxsw_reg_sfdf_system_port_get(payload);
	case MLXSW_REG_SFDF_FLUSH_PER_PORT_AND_FID:
		return unicast && fid == mlxsw_reg_sfdf_fid_get(payload) &&
		       entry->value == mlxsw_reg_sfdf_port_fid_system_port_get(payload);
	case MLXSW_REG_SFDF_FLUSH_PER_LAG:
		return lag && entry->value == mlxsw_reg_sfdf_lag_id_get(payload);
	case MLXSW_REG_SFDF_FLUSH_PER_LAG_AND_FID:
		return lag && fid == mlxsw_reg_sfdf_fid_get(payload) &&
		       entry->value == mlxsw_reg_sfdf_lag_fid_lag_id_get(payload);
	case MLXSW_REG_SFDF_FLUSH_PER_NVE:
		return tunnel;
	case MLXSW_REG_SFDF_FLUSH_PER_NVE_AND_FID:
		return tunnel && fid == mlxsw_reg_sfdf_fid_get(payload);
	default:
		return false;
	}
}

static u8 sfdf_write(struct mlxfake *fake, char *payload)
{
	struct mlxfake_entry *entry;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(fake->entries, bucket, next, entry, node)
		if (is_flushed(entry, payload))
			mlxfake_remove(fake, entry);
	return 0;
}

static void sfn_record(char *payload, int i, const struct mlxfake_notice *notice)
{
	mlxsw_reg_sfn_rec_type_set(payload, i, notice->type);
	mlxsw_reg_sfn_rec_mac_memcpy_to(payload, i, notice->mac);
	switch (notice->type) {
	case MLXSW_REG_SFN_REC_TYPE_LEARNED_UNICAST_TUNNEL:
	case MLXSW_REG_SFN_REC_TYPE_AGED_OUT_UNICAST_TUNNEL:
		mlxsw_reg_sfn_uc_tunnel_uip_msb_set(payload, i, notice->value >> 24);
		mlxsw_reg_sfn_uc_tunnel_uip_lsb_set(payload, i, notice->value & 0xffffff);
		break;
	case MLXSW_REG_SFN_REC_TYPE_LEARNED_MAC_LAG:
	case MLXSW_REG_SFN_REC_TYPE_AGED_OUT_MAC_LAG:
		mlxsw_reg_sfn_mac_lag_lag_id_set(payload, i, notice->value);
		break;
	default:
		mlxsw_reg_sfn_mac_system_port_set(payload, i, notice->value);
	}
	mlxsw_reg_sfn_mac_fid_set(payload, i, notice->fid);
}

static u8 sfn_query(struct mlxfake *fake, char *payload)
{
	int count = min_t(int, fake->notice_count, MLXSW_REG_SFN_REC_MAX_COUNT);
	int i;

	for (i = 0; i < count; i++)
		sfn_record(payload, i, &fake->notices[i]);
	fake->notice_count -= count;
	memmove(fake->notices, fake->notices + count, fake->notice_count * sizeof(fake->notices[0]));
	mlxsw_reg_sfn_num_rec_set(payload, count);
	mlxsw_reg_sfn_end_set(payload, !fake->notice_count);
	return 0;
}

static u8 sfdat_write(struct mlxfake *fake, char *payload)
{
	fake->ageing_seconds = mlxsw_reg_sfdat_age_time_get(payload);
	return 0;
}

/* ---- FIDs, VLANs and tunnels ---- */

static u8 svfa_write(struct mlxfake *fake, char *payload)
{
	u16 port = mlxsw_reg_svfa_local_port_get(payload);
	u16 vlan = mlxsw_reg_svfa_vid_get(payload) % MLXFAKE_VLANS;
	u16 fid = mlxsw_reg_svfa_v_get(payload) ? mlxsw_reg_svfa_fid_get(payload) : 0;

	switch (mlxsw_reg_svfa_mapping_table_get(payload)) {
	case MLXSW_REG_SVFA_MT_VID_TO_FID:
		fake->fid_of_vlan[vlan] = fid;
		break;
	case MLXSW_REG_SVFA_MT_PORT_VID_TO_FID:
		if (port <= MLXFAKE_PORTS)
			fake->ports[port].fid_of_vlan[vlan] = fid;
		break;
	}
	return 0;
}

static u8 sfmr_write(struct mlxfake *fake, char *payload)
{
	u16 index = mlxsw_reg_sfmr_fid_get(payload);
	struct mlxfake_fid *fid = &fake->fids[index];

	if (index >= MLXFAKE_FIDS)
		return MLXSW_EMAD_OP_TLV_STATUS_BAD_PARAMETER;
	memset(fid, 0, sizeof(*fid));
	if (mlxsw_reg_sfmr_op_get(payload) == MLXSW_REG_SFMR_OP_DESTROY_FID)
		return 0;
	fid->vni_valid = mlxsw_reg_sfmr_vv_get(payload);
	fid->vni = mlxsw_reg_sfmr_vni_get(payload);
	fid->flood_valid = mlxsw_reg_sfmr_vtfp_get(payload);
	fid->flood = mlxsw_reg_sfmr_nve_tunnel_flood_ptr_get(payload);
	return 0;
}

static u8 tnumt_write(struct mlxfake *fake, char *payload)
{
	struct mlxfake_flood wanted = {
		.pointer = mlxsw_reg_tnumt_underlay_mc_ptr_get(payload),
		.next = mlxsw_reg_tnumt_next_underlay_mc_ptr_get(payload),
		.last = !mlxsw_reg_tnumt_vnext_get(payload),
		.size = mlxsw_reg_tnumt_record_size_get(payload),
		.ipv6 = mlxsw_reg_tnumt_record_type_get(payload) == MLXSW_REG_TNUMT_RECORD_TYPE_IPV6,
	};
	int i;

	for (i = 0; i < wanted.size && i < ARRAY_SIZE(wanted.address); i++)
		wanted.address[i] = wanted.ipv6 ? mlxsw_reg_tnumt_udip_ptr_get(payload, i) :
						  mlxsw_reg_tnumt_udip_get(payload, i);
	mlxfake_flood_store(fake, &wanted);
	return 0;
}

/* ---- routes ---- */

static u8 ralue_write(struct mlxfake *fake, char *payload)
{
	bool ipv4 = mlxsw_reg_ralue_protocol_get(payload) == MLXSW_REG_RALXX_PROTOCOL_IPV4;
	struct mlxfake_entry wanted = {
		.table = ipv4 ? MLXFAKE_LPM4 : MLXFAKE_LPM6,
		.type = mlxsw_reg_ralue_action_type_get(payload),
	};
	struct mlxfake_entry *entry;

	wanted.key[0] = mlxsw_reg_ralue_virtual_router_get(payload);
	wanted.key[1] = mlxsw_reg_ralue_prefix_len_get(payload);
	if (ipv4)
		put_unaligned_be32(mlxsw_reg_ralue_dip4_get(payload), wanted.key + 2);
	else
		mlxsw_reg_ralue_dip6_memcpy_from(payload, wanted.key + 2);
	if (mlxsw_reg_ralue_op_get(payload) == MLXSW_REG_RALUE_OP_WRITE_DELETE) {
		entry = mlxfake_find(fake, wanted.table, wanted.key);
		if (entry)
			mlxfake_remove(fake, entry);
		return 0;
	}
	if (wanted.type == MLXSW_REG_RALUE_ACTION_TYPE_IP2ME) {
		wanted.decap = mlxsw_reg_ralue_ip2me_v_get(payload);
	} else {
		wanted.policy = mlxsw_reg_ralue_trap_action_get(payload);
		wanted.value = wanted.type == MLXSW_REG_RALUE_ACTION_TYPE_LOCAL ?
			       mlxsw_reg_ralue_local_erif_get(payload) :
			       mlxsw_reg_ralue_adjacency_index_get(payload);
	}
	return mlxfake_store(fake, &wanted) ? MLXSW_EMAD_OP_TLV_STATUS_RESOURCE_NOT_AVAILABLE : 0;
}

/* Neighbours' activity: none, ever. Linux resolves and keeps them by itself. */
static u8 rauhtd_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_rauhtd_num_rec_set(payload, 0);
	return 0;
}

/* ---- ports ---- */

static struct mlxfake_port *port_of(struct mlxfake *fake, u16 number)
{
	/* Port 0 is the CPU's: what is written there is not looked at. */
	return &fake->ports[number <= MLXFAKE_PORTS ? number : 0];
}

static u8 spvid_write(struct mlxfake *fake, char *payload)
{
	port_of(fake, mlxsw_reg_spvid_local_port_get(payload))->pvid =
		mlxsw_reg_spvid_pvid_get(payload) % MLXFAKE_VLANS;
	return 0;
}

static u8 paos_write(struct mlxfake *fake, char *payload)
{
	port_of(fake, mlxsw_reg_paos_local_port_get(payload))->admin_up =
		mlxsw_reg_paos_admin_status_get(payload) == MLXSW_PORT_ADMIN_STATUS_UP;
	queue_work(fake->queue, &fake->link_work);
	return 0;
}

static u8 slcor_write(struct mlxfake *fake, char *payload)
{
	struct mlxfake_port *port = port_of(fake, mlxsw_reg_slcor_local_port_get(payload));

	switch (mlxsw_reg_slcor_col_get(payload)) {
	case MLXSW_REG_SLCOR_COL_LAG_ADD_PORT:
		port->in_lag = true;
		port->lag = mlxsw_reg_slcor_lag_id_get(payload);
		break;
	case MLXSW_REG_SLCOR_COL_LAG_REMOVE_PORT:
		port->in_lag = false;
		break;
	}
	return 0;
}

/* Split and unsplit. */
static u8 pmlp_write(struct mlxfake *fake, char *payload)
{
	struct mlxfake_port *port = port_of(fake, mlxsw_reg_pmlp_local_port_get(payload));

	port->width = mlxsw_reg_pmlp_width_get(payload);
	port->module = mlxsw_reg_pmlp_module_get(payload, 0);
	port->lane = mlxsw_reg_pmlp_tx_lane_get(payload, 0);
	return 0;
}

static u8 pmlp_query(struct mlxfake *fake, char *payload)
{
	const struct mlxfake_port *port = port_of(fake, mlxsw_reg_pmlp_local_port_get(payload));
	int i;

	mlxsw_reg_pmlp_width_set(payload, port->width);
	for (i = 0; i < port->width; i++) {
		mlxsw_reg_pmlp_module_set(payload, i, port->module);
		mlxsw_reg_pmlp_tx_lane_set(payload, i, port->lane + i);
		mlxsw_reg_pmlp_rx_lane_set(payload, i, port->lane + i);
	}
	return 0;
}

/* Which local ports a split of a module would use. */
static u8 pmtdb_query(struct mlxfake *fake, char *payload)
{
	int module = mlxsw_reg_pmtdb_module_get(payload);
	int count = mlxsw_reg_pmtdb_num_ports_get(payload);
	int i;

	mlxsw_reg_pmtdb_status_set(payload, MLXSW_REG_PMTDB_STATUS_SUCCESS);
	for (i = 0; i < count; i++)
		mlxsw_reg_pmtdb_port_num_set(payload, i, module * mlxfake_width + 1 + i);
	return 0;
}

static u8 pllp_query(struct mlxfake *fake, char *payload)
{
	const struct mlxfake_port *port = port_of(fake, mlxsw_reg_pllp_local_port_get(payload));

	mlxsw_reg_pllp_label_port_set(payload, port->module + 1);
	mlxsw_reg_pllp_split_num_set(payload, port->lane);
	return 0;
}

static u8 ptys_write(struct mlxfake *fake, char *payload)
{
	port_of(fake, mlxsw_reg_ptys_local_port_get(payload))->speed =
		mlxsw_reg_ptys_ext_eth_proto_admin_get(payload) ?:
		mlxsw_reg_ptys_eth_proto_admin_get(payload);
	return 0;
}

static u8 ptys_query(struct mlxfake *fake, char *payload)
{
	const struct mlxfake_port *port = port_of(fake, mlxsw_reg_ptys_local_port_get(payload));

	mlxsw_reg_ptys_eth_proto_cap_set(payload, 0xffffffff);
	mlxsw_reg_ptys_ext_eth_proto_cap_set(payload, 0x0000ffff);
	mlxsw_reg_ptys_eth_proto_admin_set(payload, port->speed ?: 0xffffffff);
	mlxsw_reg_ptys_ext_eth_proto_admin_set(payload, port->speed ?: 0xffff);
	if (port->oper_up) {
		mlxsw_reg_ptys_eth_proto_oper_set(payload, MLXSW_REG_PTYS_ETH_SPEED_100GBASE_CR4);
		mlxsw_reg_ptys_ext_eth_proto_oper_set(payload,
			MLXSW_REG_PTYS_EXT_ETH_SPEED_CAUI_4_100GBASE_CR4_KR4);
	}
	return 0;
}

/* Of all counters only those that a wire has. */
static u8 ppcnt_query(struct mlxfake *fake, char *payload)
{
	const struct mlxfake_port *port = port_of(fake, mlxsw_reg_ppcnt_local_port_get(payload));
	const struct net_device_stats *stats;

	if (mlxsw_reg_ppcnt_grp_get(payload) != MLXSW_REG_PPCNT_IEEE_8023_CNT || !port->wire)
		return 0;
	stats = &port->wire->stats;
	mlxsw_reg_ppcnt_a_frames_transmitted_ok_set(payload, stats->rx_packets);
	mlxsw_reg_ppcnt_a_octets_transmitted_ok_set(payload, stats->rx_bytes);
	mlxsw_reg_ppcnt_a_frames_received_ok_set(payload, stats->tx_packets);
	mlxsw_reg_ppcnt_a_octets_received_ok_set(payload, stats->tx_bytes);
	return 0;
}

static u8 pmtu_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_pmtu_max_mtu_set(payload, 10260);
	return 0;
}

/* ---- the box: identity, sensors, fans, modules ---- */

static u8 spad_query(struct mlxfake *fake, char *payload)
{
	/* Locally administered, "LAB". */
	const char mac[ETH_ALEN] = { 0x02, 'L', 'A', 'B', mlxfake_number, 0 };

	mlxsw_reg_spad_base_mac_memcpy_to(payload, mac);
	return 0;
}

static u8 mgir_query(struct mlxfake *fake, char *payload)
{
	const struct mlxsw_fw_rev *revision = &fake->info.fw_rev;

	mlxsw_reg_mgir_hw_info_device_hw_revision_set(payload, 0xA1);
	mlxsw_reg_mgir_fw_info_psid_memcpy_to(payload, "FAKE000000000001");
	mlxsw_reg_mgir_fw_info_extended_major_set(payload, revision->major);
	mlxsw_reg_mgir_fw_info_extended_minor_set(payload, revision->minor);
	mlxsw_reg_mgir_fw_info_extended_sub_minor_set(payload, revision->subminor);
	return 0;
}

static u8 mgpir_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_mgpir_num_of_modules_set(payload, mlxfake_ports);
	mlxsw_reg_mgpir_max_modules_per_slot_set(payload, mlxfake_ports);
	return 0;
}

static u8 mtcap_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_mtcap_sensor_count_set(payload, 1);
	return 0;
}

/* Temperatures are in eighths of a degree. */
#define EIGHTHS(millidegrees)	((millidegrees) / 125)

static u8 mtmp_query(struct mlxfake *fake, char *payload)
{
	bool module = mlxsw_reg_mtmp_sensor_index_get(payload) >= MLXSW_REG_MTMP_MODULE_INDEX_MIN;
	u32 temperature = module ? fake->module_temperature : fake->temperature;

	mlxsw_reg_mtmp_temperature_set(payload, EIGHTHS(temperature));
	mlxsw_reg_mtmp_max_temperature_set(payload, EIGHTHS(temperature));
	mlxsw_reg_mtmp_temperature_threshold_hi_set(payload, EIGHTHS(module ? 70000 : 105000));
	mlxsw_reg_mtmp_max_operational_temperature_set(payload, EIGHTHS(module ? 75000 : 110000));
	mlxsw_reg_mtmp_sensor_name_memcpy_to(payload, "fakeasic");
	return 0;
}

static u8 mtbr_query(struct mlxfake *fake, char *payload)
{
	int i;

	for (i = 0; i < mlxsw_reg_mtbr_num_rec_get(payload); i++) {
		mlxsw_reg_mtbr_rec_temp_set(payload, i, EIGHTHS(fake->module_temperature));
		mlxsw_reg_mtbr_rec_max_temp_set(payload, i, EIGHTHS(fake->module_temperature));
	}
	return 0;
}

/* Every cage holds a QSFP28, of which the first page can be read. */
static u8 mcia_query(struct mlxfake *fake, char *payload)
{
	u8 page[256] = { [0] = 0x11, [2] = 0x02, [128] = 0x11, [130] = 0x23 };
	u16 offset = mlxsw_reg_mcia_device_address_get(payload);
	u16 length = mlxsw_reg_mcia_size_get(payload);

	memcpy(page + 148, "LABFAKE         ", 16);
	memcpy(page + 168, "FAKE-100G-DAC   ", 16);
	snprintf(page + 196, 16, "SN%04u", mlxsw_reg_mcia_module_get(payload));
	if (offset + length <= sizeof(page))
		memcpy(mlxsw_reg_mcia_eeprom_data(payload), page + offset,
		       min_t(u16, length, MLXSW_REG_MCIA_EEPROM_SIZE));
	mlxsw_reg_mcia_status_set(payload, MLXSW_REG_MCIA_STATUS_GOOD);
	return 0;
}

static u8 mfcr_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_mfcr_tacho_active_set(payload, BIT(0) | BIT(1));
	mlxsw_reg_mfcr_pwm_active_set(payload, BIT(0));
	return 0;
}

static u8 mfsm_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_mfsm_rpm_set(payload, fake->fan_rpm);
	return 0;
}

static u8 mfsc_write(struct mlxfake *fake, char *payload)
{
	fake->fan_pwm = mlxsw_reg_mfsc_pwm_duty_cycle_get(payload);
	return 0;
}

static u8 mfsc_query(struct mlxfake *fake, char *payload)
{
	mlxsw_reg_mfsc_pwm_duty_cycle_set(payload, fake->fan_pwm);
	return 0;
}

static const struct {
	u16 id;
	/* Return the status of the answer. */
	u8 (*write)(struct mlxfake *fake, char *payload);
	u8 (*query)(struct mlxfake *fake, char *payload);
} registers[] = {
	{ MLXSW_REG_SFD_ID, .write = sfd_write },
	{ MLXSW_REG_SFDF_ID, .write = sfdf_write },
	{ MLXSW_REG_SFDAT_ID, .write = sfdat_write },
	{ MLXSW_REG_SFN_ID, .query = sfn_query },
	{ MLXSW_REG_SVFA_ID, .write = svfa_write },
	{ MLXSW_REG_SFMR_ID, .write = sfmr_write },
	{ MLXSW_REG_TNUMT_ID, .write = tnumt_write },
	{ MLXSW_REG_RALUE_ID, .write = ralue_write },
	{ MLXSW_REG_RAUHTD_ID, .query = rauhtd_query },
	{ MLXSW_REG_SPVID_ID, .write = spvid_write },
	{ MLXSW_REG_PAOS_ID, .write = paos_write },
	{ MLXSW_REG_SLCOR_ID, .write = slcor_write },
	{ MLXSW_REG_PMLP_ID, .write = pmlp_write, .query = pmlp_query },
	{ MLXSW_REG_PMTDB_ID, .query = pmtdb_query },
	{ MLXSW_REG_PLLP_ID, .query = pllp_query },
	{ MLXSW_REG_PTYS_ID, .write = ptys_write, .query = ptys_query },
	{ MLXSW_REG_PPCNT_ID, .query = ppcnt_query },
	{ MLXSW_REG_PMTU_ID, .query = pmtu_query },
	{ MLXSW_REG_SPAD_ID, .query = spad_query },
	{ MLXSW_REG_MGIR_ID, .query = mgir_query },
	{ MLXSW_REG_MGPIR_ID, .query = mgpir_query },
	{ MLXSW_REG_MTCAP_ID, .query = mtcap_query },
	{ MLXSW_REG_MTMP_ID, .query = mtmp_query },
	{ MLXSW_REG_MTBR_ID, .query = mtbr_query },
	{ MLXSW_REG_MCIA_ID, .query = mcia_query },
	{ MLXSW_REG_MFCR_ID, .query = mfcr_query },
	{ MLXSW_REG_MFSM_ID, .query = mfsm_query },
	{ MLXSW_REG_MFSC_ID, .write = mfsc_write, .query = mfsc_query },
};

u8 mlxfake_register_write(struct mlxfake *fake, u16 id, char *payload)
{
	int i;

	fake->writes++;
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].id == id && registers[i].write)
			return registers[i].write(fake, payload);
	return 0;
}

u8 mlxfake_register_query(struct mlxfake *fake, u16 id, char *payload)
{
	int i;

	fake->queries++;
	for (i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].id == id && registers[i].query)
			return registers[i].query(fake, payload);
	return 0;
}
