//! Values that stand in more than one table, and how one is refused.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use bgp::types::Asn;
use ipnet::IpNet;
use toml::Spanned;

use super::Refusal;

pub(super) const fn yes() -> bool {
    true
}

pub(super) fn check_asn(number: u32, span: &Range<usize>) -> Result<Asn, Refusal> {
    match number {
        0 => Err(refuse(
            span,
            "AS number 0 is reserved (RFC 7607); private numbers are 64512-65534 and 4200000000-4294967294",
        )),
        23456 => Err(refuse(
            span,
            "AS number 23456 is AS_TRANS (RFC 6793) and nobody's own; give the real number",
        )),
        number => Ok(Asn(number)),
    }
}

pub(super) fn check_hold_time(seconds: Spanned<u16>) -> Result<u16, Refusal> {
    match *seconds.get_ref() {
        0 => Ok(0),
        _ => in_range(seconds, "hold-time", 3..=u16::MAX),
    }
}

pub(super) fn check_keepalive(seconds: Spanned<u16>) -> Result<Duration, Refusal> {
    in_range(seconds, "keepalive", 1..=u16::MAX).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn check_network(text: Spanned<String>) -> Result<IpNet, Refusal> {
    let span = text.span();
    let text = text.into_inner();
    let network: IpNet = text.parse().map_err(|_| {
        refuse(&span, &format!("\"{text}\" is not a prefix; write for example \"10.0.0.1/32\""))
    })?;
    if network != network.trunc() {
        return Err(refuse(
            &span,
            &format!(
                "{network} has bits set behind its prefix length; write \"{}\"",
                network.trunc()
            ),
        ));
    }
    Ok(network)
}

pub(super) fn check_connect_retry(seconds: Spanned<u16>) -> Result<Duration, Refusal> {
    in_range(seconds, "connect-retry", 1..=u16::MAX)
        .map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn in_range(
    value: Spanned<u16>,
    key: &str,
    range: RangeInclusive<u16>,
) -> Result<u16, Refusal> {
    if range.contains(value.get_ref()) {
        return Ok(*value.get_ref());
    }
    let (low, high) = (range.start(), range.end());
    Err(refuse(
        &value.span(),
        &format!("{key} is {} s; it must be {low} to {high} s", value.get_ref()),
    ))
}

pub(super) fn refuse(span: &Range<usize>, message: &str) -> Refusal {
    Refusal { offset: span.start, message: message.to_owned() }
}
