//! `addpath-tx`: a word, or a number.

use bgp::speaker::AddPathSend;
use serde::Deserialize;
use toml::Spanned;

use super::Refusal;
use super::value::refuse;

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "\"all\", \"best-per-as\" or how many paths")]
pub(super) enum AddPathValue {
    Number(u8),
    Word(String),
}

pub(super) fn check_add_path(value: Spanned<AddPathValue>) -> Result<AddPathSend, Refusal> {
    let span = value.span();
    match value.into_inner() {
        AddPathValue::Number(0) => {
            Err(refuse(&span, "addpath-tx 0 would tell nothing; write 1 to 255, or remove it"))
        }
        AddPathValue::Number(count) => Ok(AddPathSend::Best(count)),
        AddPathValue::Word(word) => match word.as_str() {
            "all" => Ok(AddPathSend::All),
            "best-per-as" => Ok(AddPathSend::BestPerAs),
            other => Err(refuse(
                &span,
                &format!(
                    "addpath-tx \"{other}\" is neither \"all\" nor \"best-per-as\" nor a number of paths"
                ),
            )),
        },
    }
}
