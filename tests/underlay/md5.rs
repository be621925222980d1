//! TCP MD5 signatures (RFC 2385) with FRR and BIRD.

use lab::{
    Lab, Result, ensure,
    peers::{Bird, Frr},
    switch::Switch,
};

use crate::Pair;
use crate::session::{self, NEIGHBOR, state, switchd, wait_established, wait_for_drops};

#[test]
fn frr_with_the_same_password_is_heard_and_with_another_it_is_not() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["password wrong"]))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "password = \"quicksand\""))?;
        wait_for_drops(&pair.left, "TcpExtTCPMD5Failure")?;
        ensure!(state(&switch, "10.1.0.2")? != "Established", "with another password");
        frr.configure(&["router bgp 65002", "neighbor 10.1.0.1 password quicksand"])?;
        wait_established(&switch, "10.1.0.2")?;
        ensure!(!switch.log()?.contains("quicksand"), "the password is in the log");
        Ok(())
    })
}

#[test]
fn bird_that_connects_is_heard_with_a_password_from_a_file() -> Result {
    with_bird("passive = true", "")
}

#[test]
fn bird_that_waits_is_reached_with_a_password_from_a_file() -> Result {
    with_bird("passive = false", "passive;")
}

fn with_bird(keys: &str, options: &str) -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let file = pair.left.dir().join("password");
        std::fs::write(&file, "quicksand\n")?;
        let keys = format!("{keys}\npassword-file = \"{}\"", file.display());
        let options = format!("password \"quicksand\"; {options}");
        let _bird = Bird::start(&pair.right, &session::bird("10.1.0.1", &options))?;
        let switch = Switch::start(&pair.left, &switchd(NEIGHBOR, &keys))?;
        wait_established(&switch, "10.1.0.2")
    })
}

#[test]
fn a_signed_session_survives_kill_9() -> Result {
    Lab::run(|lab| {
        let pair = Pair::build(lab)?;
        let frr = Frr::start(&pair.right, &session::frr("10.1.0.1", &["password quicksand"]))?;
        let mut switch = Switch::start(&pair.left, &switchd(NEIGHBOR, "password = \"quicksand\""))?;
        wait_established(&switch, "10.1.0.2")?;
        switch.kill9()?;
        switch.restart()?;
        wait_established(&switch, "10.1.0.2")?;
        let neighbors = frr.show("bgp neighbors")?;
        let count = &neighbors["10.1.0.1"]["connectionsEstablished"];
        ensure!(count == 1, "FRR has seen {count} sessions");
        Ok(())
    })
}
