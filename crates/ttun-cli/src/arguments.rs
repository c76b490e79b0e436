//! `<tun> <local-ip> <local-port> <remote-ip> <remote-port>`

use std::net::IpAddr;

use ttun_core::{Endpoint, TunnelOptions};

const HELP: &str = "Usage: ttun [-q] <tun> <local-ip> <local-port> <remote-ip> <remote-port>

Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.
Prints packets as they pass, at most ten a second; -q prints none. Ctrl-C ends it with a summary.";

const VERSION: &str =
    concat!("ttun ", env!("CARGO_PKG_VERSION"), ", without Node, ", env!("TTUN_BUILD_TARGET"));

pub(crate) enum Wish {
    Text(&'static str),
    Tunnel { options: Box<TunnelOptions>, quiet: bool },
}

pub(crate) fn parse(arguments: Vec<String>) -> Result<Wish, String> {
    let (switches, rest): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|text| text.starts_with('-'));
    let mut quiet = false;
    for switch in &switches {
        match switch.as_str() {
            "-h" | "--help" => return Ok(Wish::Text(HELP)),
            "-V" | "--version" => return Ok(Wish::Text(VERSION)),
            "-q" | "--quiet" => quiet = true,
            unknown => return Err(format!("there is no option {unknown}")),
        }
    }
    let [device, local_ip, local_port, remote_ip, remote_port]: [String; 5] =
        rest.try_into().map_err(|given: Vec<_>| format!("five arguments are needed, not {}", given.len()))?;
    let local = endpoint("local", &local_ip, &local_port)?;
    let remote = endpoint("remote", &remote_ip, &remote_port)?;
    Ok(Wish::Tunnel { options: Box::new(TunnelOptions::plain(device, local, remote)), quiet })
}

/// A link-local address names its interface: `fe80::1%eth0`.
fn endpoint(side: &str, ip: &str, port: &str) -> Result<Endpoint, String> {
    let number = port.parse().ok().filter(|number: &u16| *number > 0);
    let number = number
        .ok_or_else(|| format!("<{side}-port>: '{port}' is not a UDP port; give a number from 1 to 65535"))?;
    let (address, zone) = match ip.split_once('%') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (ip, None),
    };
    let address = address.parse().ok().filter(|address: &IpAddr| zone.is_none() || address.is_ipv6());
    let address = address.ok_or_else(|| {
        format!("<{side}-ip>: '{ip}' is not an IP address; write it as 192.0.2.1 or 2001:db8::1")
    })?;
    Ok(Endpoint { ip: address, port: number, zone })
}
