//! VLANs of bridge ports, and of the bridge itself (which is what an SVI needs).
//!
//! The kernel tells of them in two ways, and both are read. A message of the bridge family about a link carries all VLANs
//! of that link, as single ones or as ranges, and the VNIs that they are mapped to. `RTM_NEWVLAN` and `RTM_DELVLAN` (since
//! Linux 5.6) carry only what changed, and are the only word on what a new default PVID does to the ports.

use std::collections::BTreeMap;

use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfoFlags, BridgeVlanTunnelInfo,
};

use super::message::{self, NLM_F_DUMP, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK, Request};
use super::{Ifindex, Key, Vni};

/// That a bridge port, or the bridge itself, belongs to a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeVlan {
    /// The port, or the bridge itself.
    pub ifindex: Ifindex,
    /// VLAN id, 1 to 4094.
    pub vlan: u16,
    /// Whether untagged packets that come in belong to it. A port has one such VLAN at most.
    pub pvid: bool,
    /// Whether packets go out without a tag.
    pub untagged: bool,
    /// Whether `ifindex` is the bridge itself.
    pub of_bridge: bool,
    /// The VNI that it is behind the port, where that is a VXLAN device for many VNIs (`tunnel_info id`). Read, not written.
    pub tunnel: Option<Vni>,
}

impl BridgeVlan {
    /// A VLAN that a port carries with tags.
    pub const fn tagged(ifindex: Ifindex, vlan: u16) -> Self {
        Self { ifindex, vlan, pvid: false, untagged: false, of_bridge: false, tunnel: None }
    }

    /// The VLAN that a port carries without tags, both ways.
    pub const fn access(ifindex: Ifindex, vlan: u16) -> Self {
        Self { pvid: true, untagged: true, ..Self::tagged(ifindex, vlan) }
    }

    /// A VLAN in which the bridge itself takes part: what an SVI needs.
    pub const fn of_bridge(bridge: Ifindex, vlan: u16) -> Self {
        Self { of_bridge: true, ..Self::tagged(bridge, vlan) }
    }

    /// Its identity.
    pub fn key(&self) -> Key {
        Key::BridgeVlan { ifindex: self.ifindex, vlan: self.vlan }
    }

    /// What must exist first.
    pub fn requires(&self) -> Vec<Key> {
        vec![Key::Link(self.ifindex)]
    }

    /// Never: the kernel keeps no mark with a VLAN.
    pub fn is_ours(&self) -> bool {
        false
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self == held
    }

    /// Creates it, or turns what is there under its key into it.
    pub(super) fn encode_create(&self) -> Request {
        self.encode(RTM_SETLINK)
    }

    pub(super) fn encode_delete(&self) -> Request {
        self.encode(RTM_DELLINK)
    }

    fn encode(&self, message_type: u16) -> Request {
        let mut flags = 0;
        if self.pvid {
            flags |= BridgeVlanInfoFlags::Pvid.bits();
        }
        if self.untagged {
            flags |= BridgeVlanInfoFlags::Untagged.bits();
        }
        let [f0, f1] = flags.to_ne_bytes();
        let [v0, v1] = self.vlan.to_ne_bytes();
        // Without it, the kernel asks the bridge that the link is a port of.
        let whom = self
            .of_bridge
            .then(|| DefaultNla::new(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF.to_ne_bytes().to_vec()));
        let info = DefaultNla::new(IFLA_BRIDGE_VLAN_INFO, vec![f0, f1, v0, v1]);
        let spec: Vec<DefaultNla> = whom.into_iter().chain([info]).collect();
        let mut nested = vec![0; spec.as_slice().buffer_len()];
        spec.as_slice().emit(&mut nested);
        let attribute = DefaultNla::new(IFLA_AF_SPEC, nested);
        let mut request = Request::dump(message_type, AF_BRIDGE, IFINFOMSG_LEN, &[attribute]);
        request.flags = 0;
        if let Some(index) = request.payload.get_mut(IFINFOMSG_INDEX) {
            index.copy_from_slice(&self.ifindex.to_ne_bytes());
        }
        request
    }

    /// Asks for the VLANs of all ports and bridges, in ranges.
    pub(super) fn dump_all() -> Request {
        let mask = (RTEXT_FILTER_BRVLAN_COMPRESSED | RTEXT_FILTER_SKIP_STATS).to_ne_bytes();
        let mask = DefaultNla::new(IFLA_EXT_MASK, mask.to_vec());
        let request = Request::dump(RTM_GETLINK, AF_BRIDGE, IFINFOMSG_LEN, &[mask]);
        Request { flags: NLM_F_DUMP, ..request }
    }

    /// All VLANs of one link, out of what a bridge says of it. `None`: it is not a bridge that speaks, but a network card
    /// with a switch inside.
    pub(super) fn decode_all(
        ifindex: Ifindex,
        of_bridge: bool,
        spec: &[AfSpecBridge],
    ) -> Option<Vec<Self>> {
        let mut vlans = Vec::new();
        let mut tunnels = Tunnels::default();
        let mut begin = None;
        for attribute in spec {
            let info = match attribute {
                AfSpecBridge::Flags(BridgeFlag::LowerDev) => return None,
                AfSpecBridge::VlanInfo(info) => info,
                AfSpecBridge::VlanTunnelInfo(infos) => {
                    tunnels.take(infos);
                    continue;
                }
                _ => continue,
            };
            let vlan = Self {
                pvid: info.flags.contains(BridgeVlanInfoFlags::Pvid),
                untagged: info.flags.contains(BridgeVlanInfoFlags::Untagged),
                of_bridge,
                ..Self::tagged(ifindex, info.vid)
            };
            if info.flags.contains(BridgeVlanInfoFlags::RangeBegin) {
                begin = Some(info.vid);
                continue;
            }
            let first = begin.take().unwrap_or(info.vid);
            vlan.extend_range(first, &mut vlans);
        }
        vlans.sort_unstable();
        vlans.dedup_by_key(|vlan| vlan.vlan);
        for vlan in &mut vlans {
            vlan.tunnel = tunnels.vni(vlan.vlan);
        }
        Some(vlans)
    }

    /// Reads an `RTM_NEWVLAN` or `RTM_DELVLAN` (`struct br_vlan_msg`, `BRIDGE_VLANDB_*` of linux/if_bridge.h). Whose they
    /// are, a port's or the bridge's own, it does not tell, nor which VNI.
    pub(super) fn decode_changed(payload: &[u8]) -> Vec<Self> {
        let Some((header, rest)) = payload.split_first_chunk::<BR_VLAN_MSG_LEN>() else {
            return Vec::new();
        };
        let &[family, _, _, _, i0, i1, i2, i3] = header;
        if family != AF_BRIDGE {
            return Vec::new();
        }
        let ifindex = Ifindex::from_ne_bytes([i0, i1, i2, i3]);
        let mut vlans = Vec::new();
        for (_, entry) in message::attributes(rest).filter(|(kind, _)| *kind == BRIDGE_VLANDB_ENTRY)
        {
            let (mut info, mut last) = (None, None);
            for (kind, value) in message::attributes(entry) {
                match kind {
                    BRIDGE_VLANDB_ENTRY_INFO => info = value.first_chunk::<4>(),
                    BRIDGE_VLANDB_ENTRY_RANGE => {
                        last = value.first_chunk::<2>().map(|id| u16::from_ne_bytes(*id))
                    }
                    _ => {}
                }
            }
            let Some(&[f0, f1, v0, v1]) = info else { continue };
            let flags = BridgeVlanInfoFlags::from_bits_retain(u16::from_ne_bytes([f0, f1]));
            let first = u16::from_ne_bytes([v0, v1]);
            let vlan = Self {
                pvid: flags.contains(BridgeVlanInfoFlags::Pvid),
                untagged: flags.contains(BridgeVlanInfoFlags::Untagged),
                ..Self::tagged(ifindex, last.unwrap_or(first))
            };
            vlan.extend_range(first, &mut vlans);
        }
        vlans
    }

    /// Itself and all from `first` on. What is no VLAN is left out, so that a broken message stays small.
    fn extend_range(self, first: u16, vlans: &mut Vec<Self>) {
        let range = first.max(1)..=self.vlan.min(4094);
        let room = MAX_VLANS.saturating_sub(vlans.len());
        vlans.extend(range.take(room).map(|vlan| Self { vlan, ..self }));
    }
}

/// The VNIs of a port's VLANs. In a range both count up together.
#[derive(Default)]
struct Tunnels {
    /// By first VLAN: last VLAN and first VNI.
    ranges: BTreeMap<u16, (u16, u32)>,
    begin: Option<(u16, u32)>,
}

impl Tunnels {
    fn take(&mut self, infos: &[BridgeVlanTunnelInfo]) {
        let (mut id, mut vlan, mut flags) = (None, None, BridgeVlanInfoFlags::empty());
        for info in infos {
            match info {
                BridgeVlanTunnelInfo::Id(number) => id = Some(*number),
                BridgeVlanTunnelInfo::Vid(number) => vlan = Some(*number),
                BridgeVlanTunnelInfo::Flags(all) => flags = *all,
                _ => {}
            }
        }
        let Some((vlan, id)) = vlan.zip(id) else { return };
        if flags.contains(BridgeVlanInfoFlags::RangeBegin) {
            self.begin = Some((vlan, id));
        } else {
            let (first, id) = self.begin.take().unwrap_or((vlan, id));
            self.ranges.insert(first, (vlan, id));
        }
    }

    fn vni(&self, vlan: u16) -> Option<Vni> {
        let (first, (last, id)) = self.ranges.range(..=vlan).next_back()?;
        let behind = u32::from(vlan.checked_sub(*first).filter(|_| vlan <= *last)?);
        Vni::try_from(id.checked_add(behind)?).ok()
    }
}

const AF_BRIDGE: u8 = 7;
const IFINFOMSG_LEN: usize = 16;
const IFINFOMSG_INDEX: std::ops::Range<usize> = 4..8;
const BR_VLAN_MSG_LEN: usize = 8;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 4;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const BRIDGE_FLAGS_SELF: u16 = 2;
const BRIDGE_VLANDB_ENTRY: u16 = 1;
const BRIDGE_VLANDB_ENTRY_INFO: u16 = 1;
const BRIDGE_VLANDB_ENTRY_RANGE: u16 = 2;
const MAX_VLANS: usize = 4094;

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::BridgeVlanInfo;

    use super::*;

    fn vlan(vid: u16, flags: BridgeVlanInfoFlags) -> AfSpecBridge {
        AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid })
    }

    fn tunnel(vid: u16, id: u32, flags: BridgeVlanInfoFlags) -> AfSpecBridge {
        AfSpecBridge::VlanTunnelInfo(vec![
            BridgeVlanTunnelInfo::Id(id),
            BridgeVlanTunnelInfo::Vid(vid),
            BridgeVlanTunnelInfo::Flags(flags),
        ])
    }

    #[test]
    fn vlans_are_mapped_to_vnis_one_by_one_and_in_ranges() {
        let (one, begin, end) = (
            BridgeVlanInfoFlags::empty(),
            BridgeVlanInfoFlags::RangeBegin,
            BridgeVlanInfoFlags::RangeEnd,
        );
        let spec = [
            vlan(1, one),
            vlan(10, begin),
            vlan(14, end),
            tunnel(10, 10010, one),
            tunnel(12, 20001, begin),
            tunnel(13, 20002, end),
            // Not a VNI.
            tunnel(14, 0, one),
        ];
        let vlans = BridgeVlan::decode_all(7, false, &spec).unwrap();
        let mapped = vlans.iter().map(|vlan| (vlan.vlan, vlan.tunnel.map(Vni::get)));
        assert_eq!(
            mapped.collect::<Vec<_>>(),
            [
                (1, None),
                (10, Some(10010)),
                (11, None),
                (12, Some(20001)),
                (13, Some(20002)),
                (14, None)
            ]
        );
    }
}
