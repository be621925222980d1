//! Waiting for what switchd says of the hardware, and for it to be what iproute2 says.

use lab::{LabError, Node, PATIENCE, Result, eventually, switch};
use serde_json::Value;

use crate::witness::{self, Standing, offload};

/// The verdicts on entries that have this word: a prefix, an address, a MAC, a device.
pub(crate) fn on(switch: &Node, word: &str) -> Result<Vec<Standing>> {
    let mut all = offload(switch, true)?;
    all.retain(|line| line.entry.split_whitespace().any(|known| known == word));
    Ok(all)
}

/// Waits until the only verdict on `word` is this, and returns it.
pub(crate) fn wait_for(switch: &Node, word: &str, verdict: &str) -> Result<Standing> {
    eventually(PATIENCE, || {
        let found = on(switch, word)?;
        match found.as_slice() {
            [one] if one.verdict == verdict => Ok(one.clone()),
            other => Err(LabError::Unexpected(format!("{word} is not {verdict}: {other:?}"))),
        }
    })
}

/// Waits until every entry has the verdict that its flags in iproute2 mean.
pub(crate) fn agree_with_iproute2(switch: &Node) -> Result {
    eventually(PATIENCE, || witness::ledger_agrees_with_iproute2(switch))
}

/// The same where an entry is refused and thus not in the kernel.
pub(crate) fn agree_but_for(switch: &Node, refused: &str) -> Result {
    eventually(PATIENCE, || witness::ledger_agrees_but_for(switch, refused))
}

/// The same where the driver flags what goes to the CPU.
pub(crate) fn agree_but_for_lies(switch: &Node) -> Result {
    eventually(PATIENCE, || witness::ledger_agrees_but_for_lies(switch))
}

/// Waits until nothing is refused or pending, and no condition is left.
pub(crate) fn all_is_well(switch: &Node) -> Result {
    eventually(PATIENCE, || {
        let (news, conditions) = (offload(switch, false)?, conditions(switch)?);
        match (news.as_slice(), conditions.as_slice()) {
            ([], []) => Ok(()),
            some => Err(LabError::Unexpected(format!("all is not well: {some:?}"))),
        }
    })
}

/// The names of the conditions that there are, with their messages.
pub(crate) fn conditions(switch: &Node) -> Result<Vec<(String, String)>> {
    let conditions = switch::ask(switch, "show conditions")?;
    Ok(rows(&conditions).map(|row| (text(row, "name"), text(row, "message"))).collect())
}

/// The objects of a list.
pub(crate) fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) fn text(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
