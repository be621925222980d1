//! Compiles the API's proto files with protox: building switchd needs no protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "proto/switchd/v1/switchd.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
