//! Failures to open the socket, and their hints.

use std::net::{SocketAddr, UdpSocket};

use super::options::to;
use crate::socket;
use crate::{Error, ErrorKind};

fn refused(local: &str, remote: &str) -> Error {
    let (local, remote): (SocketAddr, SocketAddr) = (local.parse().unwrap(), remote.parse().unwrap());
    match socket::open(&to(local, remote), &remote.into()) {
        Ok(_) => panic!("{local} to {remote} opens"),
        Err(error) => error,
    }
}

#[test]
fn an_address_of_another_host_is_refused() {
    for (local, remote) in [("192.0.2.1:0", "127.0.0.1:8000"), ("[2001:db8::1]:0", "[::1]:8000")] {
        let error = refused(local, remote);
        assert_eq!(error.kind(), ErrorKind::AddressNotLocal);
        assert_eq!((error.syscall(), error.errno()), (Some("bind"), Some(libc::EADDRNOTAVAIL)));
        assert!(error.hint().unwrap().contains("ip -brief addr"));
    }
}

#[test]
fn a_port_in_use_is_refused() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let error = refused(&format!("127.0.0.1:{port}"), "127.0.0.1:8000");
    assert_eq!(error.kind(), ErrorKind::PortInUse);
    assert_eq!((error.syscall(), error.errno()), (Some("bind"), Some(libc::EADDRINUSE)));
    assert!(error.message().contains(&port.to_string()) && error.hint().unwrap().contains("ss -ulnp"));
}

#[test]
fn addresses_of_two_families_are_refused() {
    for (local, remote) in [("127.0.0.1:0", "[::1]:8000"), ("[::1]:0", "127.0.0.1:8000")] {
        assert_eq!(refused(local, remote).kind(), ErrorKind::InvalidOptions);
    }
}

#[test]
fn an_address_that_is_not_a_single_host_is_refused_as_a_peer() {
    for (local, remote) in [
        ("127.0.0.1:0", "0.0.0.0:8000"),
        ("127.0.0.1:0", "224.0.0.1:8000"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::1]:0", "[::]:8000"),
        ("[::1]:0", "[ff02::1]:8000"),
        ("[::1]:0", "[::1]:0"),
    ] {
        let error = refused(local, remote);
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{remote}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn an_address_of_a_group_is_refused_as_the_local_one() {
    for (local, remote) in [
        ("224.0.0.1:0", "127.0.0.1:8000"),
        ("255.255.255.255:0", "127.0.0.1:8000"),
        ("[ff02::1]:0", "[::1]:8000"),
    ] {
        let error = refused(local, remote);
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{local}");
        assert!(error.hint().unwrap().contains("of this host"));
    }
}
