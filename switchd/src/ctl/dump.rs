//! `switchctl dump bgp routes-mrt FILE`: the tables in the format that bgpdump and other tools read.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{Client, CtlError};
use crate::api::proto::DumpMrtRequest;

/// What to dump.
#[derive(Debug, Subcommand)]
pub(super) enum Dump {
    /// BGP's tables.
    #[command(subcommand)]
    Bgp(DumpBgp),
}

/// In which format.
#[derive(Debug, Subcommand)]
pub(super) enum DumpBgp {
    /// As an MRT file (RFC 6396, TABLE_DUMP_V2).
    RoutesMrt {
        /// The file; "-" is standard output.
        file: PathBuf,
        /// Only this family, or these.
        #[arg(long, default_values = ["ipv4-unicast", "ipv6-unicast", "l2vpn-evpn"])]
        family: Vec<String>,
    },
}

pub(super) async fn dump(client: &mut Client, what: Dump) -> Result<String, CtlError> {
    let Dump::Bgp(DumpBgp::RoutesMrt { file, family }) = what;
    let mut chunks = client.dump_mrt(DumpMrtRequest { families: family }).await?.into_inner();
    let failed = |source| CtlError::Write { path: file.clone(), source };
    let mut output = open(&file).map_err(failed)?;
    while let Some(chunk) = chunks.message().await? {
        output.write_all(&chunk.data).map_err(failed)?;
    }
    output.flush().map_err(failed)?;
    Ok(String::new())
}

fn open(file: &Path) -> io::Result<Box<dyn Write>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdout().lock()));
    }
    File::create(file).map(|file| Box::new(file) as Box<dyn Write>)
}
