//! Keys of a neighbour that say how far its connections come, and what signs them.

use std::path::PathBuf;

use bgp::speaker::{Distance, Secret};
use toml::Spanned;

use super::Refusal;
use super::value::refuse;

/// At most one of them.
pub(super) fn check_distance(
    ebgp_multihop: Option<Spanned<u8>>,
    ttl_security_hops: Option<Spanned<u8>>,
    disable_connected_check: Option<Spanned<bool>>,
) -> Result<Distance, Refusal> {
    let unchecked = disable_connected_check.filter(|unchecked| *unchecked.get_ref());
    match (ebgp_multihop, ttl_security_hops, unchecked) {
        (None, None, None) => Ok(Distance::Default),
        (None, None, Some(_)) => Ok(Distance::Unchecked),
        (Some(hops), None, None) => check_hops(&hops, "ebgp-multihop").map(Distance::Hops),
        (None, Some(hops), None) => check_hops(&hops, "ttl-security-hops").map(Distance::Security),
        (Some(_), Some(security), _) => Err(refuse(
            &security.span(),
            "ttl-security-hops and ebgp-multihop exclude each other; ttl-security-hops alone allows so many hops",
        )),
        (_, _, Some(unchecked)) => Err(refuse(
            &unchecked.span(),
            "disable-connected-check says nothing beside ebgp-multihop or ttl-security-hops, which check no link; take it out",
        )),
    }
}

fn check_hops(hops: &Spanned<u8>, key: &str) -> Result<u8, Refusal> {
    match *hops.get_ref() {
        0 => Err(refuse(&hops.span(), &format!("{key} is 0 hops; it must be 1 to 255"))),
        hops => Ok(hops),
    }
}

/// From the file itself, or the first line of another one.
pub(super) fn check_password(
    password: Option<Spanned<String>>,
    file: Option<Spanned<PathBuf>>,
) -> Result<Option<Secret>, Refusal> {
    match (password, file) {
        (None, None) => Ok(None),
        (Some(password), None) => check_key(&password.span(), password.get_ref()).map(Some),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path.get_ref()).map_err(|error| {
                let shown = path.get_ref().display();
                let message = format!(
                    "cannot read the password from {shown}: {error}; give a file with the password in its first line"
                );
                refuse(&path.span(), &message)
            })?;
            check_key(&path.span(), text.lines().next().unwrap_or_default()).map(Some)
        }
        (Some(_), Some(path)) => Err(refuse(
            &path.span(),
            "password and password-file exclude each other; take one of them out",
        )),
    }
}

fn check_key(span: &std::ops::Range<usize>, text: &str) -> Result<Secret, Refusal> {
    Secret::new(text.as_bytes()).ok_or_else(|| {
        let length = text.len();
        let most = Secret::MAX_LEN;
        refuse(span, &format!("the password has {length} octets; the kernel takes 1 to {most}"))
    })
}
