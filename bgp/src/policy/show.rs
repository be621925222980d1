//! Conditions and settings as people read them, in FRR's words.

use std::fmt;

use super::{AttributeCondition, Community, Condition, NextHopSetting, RouteCondition, Setting};

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(condition) => condition.fmt(f),
            Self::Route(condition) => condition.fmt(f),
        }
    }
}

impl fmt::Display for AttributeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exactly = |exact: bool| if exact { " exact-match" } else { "" };
        match self {
            Self::NextHop(list) => write!(f, "ip next-hop prefix-list {}", list.name()),
            Self::Communities { list, exact } => {
                write!(f, "community {}{}", list.name, exactly(*exact))
            }
            Self::ExtCommunities(list) => write!(f, "extcommunity {}", list.name),
            Self::LargeCommunities { list, exact } => {
                write!(f, "large-community {}{}", list.name, exactly(*exact))
            }
            Self::AsPath(list) => write!(f, "as-path {}", list.name()),
            Self::LocalPref(value) => write!(f, "local-preference {value}"),
            Self::Med(value) => write!(f, "metric {value}"),
            Self::Tag(value) => write!(f, "tag {value}"),
            Self::Origin(value) => write!(f, "origin {value:?}"),
            Self::Protocol(value) => write!(f, "source-protocol {value:?}"),
            Self::Peer(address) => write!(f, "peer {address}"),
            Self::RouteTarget(target) => write!(f, "evpn route-target {target}"),
        }
    }
}

impl fmt::Display for RouteCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(list) => write!(f, "ip address prefix-list {}", list.name()),
            Self::RouteType(kind) => write!(f, "evpn route-type {kind}"),
            Self::Vni(vni) => write!(f, "evpn vni {vni}"),
            Self::RouteDistinguisher(rd) => write!(f, "evpn rd {rd}"),
            Self::Mac { address, length } => write!(f, "evpn mac {address}/{length}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalPref(value) => write!(f, "local-preference {value}"),
            Self::Med(value) => write!(f, "metric {value}"),
            Self::MedPlus(more) => write!(f, "metric +{more}"),
            Self::MedMinus(less) => write!(f, "metric -{less}"),
            Self::Origin(value) => write!(f, "origin {value:?}"),
            Self::Weight(value) => write!(f, "weight {value}"),
            Self::Tag(value) => write!(f, "tag {value}"),
            Self::AtomicAggregate => f.write_str("atomic-aggregate"),
            Self::Communities(values) if values.is_empty() => f.write_str("community none"),
            Self::Communities(values) => {
                write_all(f, "community", values.iter().map(|value| Community(*value)))
            }
            Self::AddCommunities(values) => {
                write_all(f, "community", values.iter().map(|value| Community(*value)))?;
                f.write_str(" additive")
            }
            Self::DeleteCommunities(list) => write!(f, "comm-list {} delete", list.name),
            Self::LargeCommunities(values) if values.is_empty() => {
                f.write_str("large-community none")
            }
            Self::LargeCommunities(values) => write_all(f, "large-community", values.iter()),
            Self::AddLargeCommunities(values) => {
                write_all(f, "large-community", values.iter())?;
                f.write_str(" additive")
            }
            Self::DeleteLargeCommunities(list) => write!(f, "large-comm-list {} delete", list.name),
            Self::ExtCommunities(values) => write_all(f, "extcommunity", values.iter()),
            Self::AddExtCommunities(values) => {
                write_all(f, "extcommunity", values.iter())?;
                f.write_str(" additive")
            }
            Self::DeleteExtCommunities(list) => write!(f, "extcomm-list {} delete", list.name),
            Self::Bandwidth { megabits, transitive } => {
                let scope = if *transitive { "" } else { " non-transitive" };
                write!(f, "extcommunity bandwidth {megabits}{scope}")
            }
            Self::Prepend(asns) => write_all(f, "as-path prepend", asns.iter()),
            Self::PrependLast(times) => write!(f, "as-path prepend last-as {times}"),
            Self::Exclude(asns) => write_all(f, "as-path exclude", asns.iter()),
            Self::Replace(asns) if asns.is_empty() => f.write_str("as-path replace any"),
            Self::Replace(asns) => write_all(f, "as-path replace", asns.iter()),
            Self::NextHop(next_hop) => write!(f, "ip next-hop {next_hop}"),
        }
    }
}

impl fmt::Display for NextHopSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Own => f.write_str("self"),
            Self::PeerAddress => f.write_str("peer-address"),
            Self::Unchanged => f.write_str("unchanged"),
        }
    }
}

fn write_all<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    values: impl Iterator<Item = T>,
) -> fmt::Result {
    f.write_str(what)?;
    for value in values {
        write!(f, " {value}")?;
    }
    Ok(())
}
