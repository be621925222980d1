//! Rules: which routing table a packet is looked up in (`ip rule`).
//!
//! Read so that one knows whether hardware can follow: it cannot once there is a rule beyond the kernel's own and those of
//! VRFs. switchd makes none; a controller that wants one can.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{DefaultNla, Emitable};

use super::message::{
    self, NLM_F_CREATE, NLM_F_EXCL, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, Request,
};
use super::{Key, PROTOCOL_BGP, TABLE_LOCAL, TABLE_MAIN};

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// For IPv6 packets; `false`: for IPv4 packets.
    pub v6: bool,
    /// The lowest is tried first.
    pub priority: u32,
    /// What it does with a packet that it matches.
    pub action: RuleAction,
    /// Which packets it matches.
    pub selector: RuleSelector,
    /// Who made it.
    pub protocol: u8,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// Looks into a table.
    Table(u32),
    /// Looks into the table of the VRF that the packet is in (`l3mdev`).
    Vrf,
    /// Something else (goto, nop, drops), by the kernel's number (`FR_ACT_*`).
    Other(u8),
}

/// Which packets a rule matches: those that fit all that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct RuleSelector {
    /// From these addresses.
    pub source: Option<IpNet>,
    /// To these addresses.
    pub destination: Option<IpNet>,
    /// Come in on the link of this name.
    pub input: Option<String>,
    /// Go out on the link of this name.
    pub output: Option<String>,
    /// Marked so: value and mask.
    pub mark: Option<(u32, u32)>,
    /// Not those, but all others (`not`).
    pub inverted: bool,
    /// By more that is not modelled (ports, protocol, user, TOS, suppressed prefix lengths): a digest of it, 0 if none.
    pub more: u32,
}

impl Rule {
    /// Its identity.
    pub fn key(&self) -> Key {
        let mut digest = Digest::default();
        digest.write(format!("{:?}{:?}", self.action, self.selector).as_bytes());
        Key::Rule { v6: self.v6, priority: self.priority, selector: digest.0 }
    }

    /// Nothing: a rule may name links and tables that do not exist.
    pub fn requires(&self) -> Vec<Key> {
        Vec::new()
    }

    /// Whether it carries our mark.
    pub fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL_BGP
    }

    /// Whether `held` is all that this asks for.
    pub fn is_satisfied_by(&self, held: &Self) -> bool {
        self == held
    }

    /// Whether every kernel has it: all packets, one of the three standard tables.
    pub fn is_default(&self) -> bool {
        self.selector == RuleSelector::default()
            && matches!(self.action, RuleAction::Table(TABLE_LOCAL | TABLE_MAIN | TABLE_DEFAULT))
    }

    /// Creates it. What is not modelled of a selector cannot be written.
    pub(super) fn encode_create(&self) -> Request {
        Request::new(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &Message::of(self))
    }

    pub(super) fn encode_delete(&self) -> Request {
        Request::new(RTM_DELRULE, 0, &Message::of(self))
    }

    pub(super) fn dump(family: u8) -> Request {
        Request::dump(RTM_GETRULE, family, HEADER_LEN, &[])
    }

    /// `None`: not of IPv4 or IPv6 unicast.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (&[family, dst_len, src_len, tos, table, _, _, action, f0, f1, f2, f3], rest) =
            payload.split_first_chunk::<HEADER_LEN>()?;
        let v6 = match family {
            AF_INET => false,
            AF_INET6 => true,
            _ => return None,
        };
        let mut rule = Self {
            v6,
            priority: 0,
            action: RuleAction::Other(action),
            selector: RuleSelector::default(),
            protocol: 0,
        };
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        rule.selector.inverted = flags & FIB_RULE_INVERT != 0;
        let (mut table, mut vrf, mut more) = (u32::from(table), false, Digest::default());
        let (mut mark, mut mask) = (0, 0);
        if tos != 0 {
            more.write(&[tos]);
        }
        for (kind, value) in message::attributes(rest) {
            match kind {
                FRA_DST => rule.selector.destination = prefix(value, dst_len),
                FRA_SRC => rule.selector.source = prefix(value, src_len),
                FRA_IIFNAME => rule.selector.input = name(value),
                FRA_OIFNAME => rule.selector.output = name(value),
                FRA_PRIORITY => rule.priority = message::number(value)?,
                FRA_TABLE => table = message::number(value)?,
                FRA_FWMARK => mark = message::number(value)?,
                FRA_FWMASK => mask = message::number(value)?,
                FRA_L3MDEV => vrf = value.first().is_some_and(|on| *on != 0),
                FRA_PROTOCOL => rule.protocol = value.first().copied().unwrap_or_default(),
                // The kernel says "no limit" in every rule.
                FRA_SUPPRESS_PREFIXLEN | FRA_SUPPRESS_IFGROUP
                    if message::number(value) == Some(u32::MAX) => {}
                FRA_PAD => {}
                _ => {
                    more.write(&kind.to_ne_bytes());
                    more.write(value);
                }
            }
        }
        if action == FR_ACT_TO_TBL {
            rule.action = if vrf { RuleAction::Vrf } else { RuleAction::Table(table) };
        }
        rule.selector.mark = (mask != 0).then_some((mark, mask));
        rule.selector.more = more.0;
        Some(rule)
    }
}

/// FNV-1a, 32 bits: tells apart what one box has of rules. Nothing written is 0.
#[derive(Default)]
struct Digest(u32);

impl Digest {
    fn write(&mut self, bytes: &[u8]) {
        if self.0 == 0 {
            self.0 = 0x811c_9dc5;
        }
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

fn prefix(value: &[u8], length: u8) -> Option<IpNet> {
    IpNet::new(message::address(value)?, length).ok()
}

fn name(value: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
}

/// One request about a rule, as it goes to the kernel (`struct fib_rule_hdr`).
struct Message {
    header: [u8; HEADER_LEN],
    attributes: Vec<DefaultNla>,
}

impl Message {
    fn of(rule: &Rule) -> Self {
        let mut attributes = Vec::new();
        let mut add = |kind, value: &[u8]| attributes.push(DefaultNla::new(kind, value.to_vec()));
        let mut length_of = |kind, prefix: Option<IpNet>| {
            let Some(prefix) = prefix else { return 0 };
            add(kind, &octets(prefix.addr()));
            prefix.prefix_len()
        };
        let selector = &rule.selector;
        let dst_len = length_of(FRA_DST, selector.destination);
        let src_len = length_of(FRA_SRC, selector.source);
        add(FRA_PRIORITY, &rule.priority.to_ne_bytes());
        add(FRA_PROTOCOL, &[rule.protocol]);
        for (kind, link) in [(FRA_IIFNAME, &selector.input), (FRA_OIFNAME, &selector.output)] {
            if let Some(link) = link {
                add(kind, format!("{link}\0").as_bytes());
            }
        }
        if let Some((mark, mask)) = selector.mark {
            add(FRA_FWMARK, &mark.to_ne_bytes());
            add(FRA_FWMASK, &mask.to_ne_bytes());
        }
        let action = match rule.action {
            RuleAction::Table(table) => {
                add(FRA_TABLE, &table.to_ne_bytes());
                FR_ACT_TO_TBL
            }
            RuleAction::Vrf => {
                add(FRA_L3MDEV, &[1]);
                FR_ACT_TO_TBL
            }
            RuleAction::Other(action) => action,
        };
        let flags = if selector.inverted { FIB_RULE_INVERT } else { 0 };
        let [f0, f1, f2, f3] = flags.to_ne_bytes();
        let family = if rule.v6 { AF_INET6 } else { AF_INET };
        let header = [family, dst_len, src_len, 0, 0, 0, 0, action, f0, f1, f2, f3];
        Self { header, attributes }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    message::octets(address)
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        HEADER_LEN + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let Some((header, rest)) = buffer.split_first_chunk_mut::<HEADER_LEN>() else { return };
        *header = self.header;
        self.attributes.as_slice().emit(rest);
    }
}

/// `struct fib_rule_hdr`.
const HEADER_LEN: usize = 12;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TABLE_DEFAULT: u32 = 253;
const FR_ACT_TO_TBL: u8 = 1;
const FIB_RULE_INVERT: u32 = 2;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_L3MDEV: u16 = 19;
const FRA_PROTOCOL: u16 = 21;
