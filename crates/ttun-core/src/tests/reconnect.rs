//! The real socket with another peer, over loopback.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::SockRef;
use tokio::runtime::{Builder, Runtime};
use ttun_packet::CoalesceOptions;

use super::fake::FakeDevice;
use super::options::to;
use super::site::context;
use crate::ErrorKind;
use crate::connection::{Connection, SharedSocket};
use crate::decap::Decap;
use crate::endpoints::Endpoints;
use crate::io::{DatagramSocket, Outer};
use crate::send::Sender;
use crate::socket::{self, PeerSocket};

/// Nothing on loopback takes as long.
const LIMIT: Duration = Duration::from_secs(10);

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn peer(loopback: &str) -> (UdpSocket, SocketAddr) {
    let peer = UdpSocket::bind(loopback).unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    let address = peer.local_addr().unwrap();
    (peer, address)
}

fn opened(loopback: &str, remote: SocketAddr) -> (PeerSocket, Endpoints) {
    socket::open(&to(loopback.parse().unwrap(), remote), &remote.into()).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The next datagram.
fn received(socket: PeerSocket) -> Vec<u8> {
    let runtime = runtime();
    let shared = SharedSocket::new(socket, None, runtime.handle().clone()).unwrap();
    let connection = Connection::new(&shared).unwrap();
    received_by(&runtime, &connection)
}

fn received_by(runtime: &Runtime, connection: &Connection<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = runtime.block_on(async {
        loop {
            match connection.try_recv(&mut buffer) {
                Ok(datagrams) => return datagrams.len,
                Err(_) => tokio::time::timeout(LIMIT, connection.readable()).await.unwrap().unwrap(),
            }
            tokio::task::yield_now().await;
        }
    });
    buffer.truncate(len);
    buffer
}

#[test]
fn packets_are_exchanged_only_with_the_new_peer() {
    for loopback in LOOPBACKS {
        let ((before, before_at), (after, after_at)) = (peer(loopback), peer(loopback));
        let (socket, endpoints) = opened(loopback, before_at);
        let moved = socket.reconnect(endpoints, &after_at.into()).unwrap();
        assert_eq!(moved, Endpoints { remote: after_at, ..endpoints });
        before.send_to(b"late", moved.local).unwrap();
        after.send_to(b"Hello", moved.local).unwrap();
        socket.send(&[std::io::IoSlice::new(b"World")], Outer::default()).unwrap();
        assert_eq!(received(socket), b"Hello");
        let mut buffer = [0; 100];
        assert_eq!(after.recv(&mut buffer).unwrap(), 5);
    }
}

#[test]
fn earlier_datagrams_of_the_old_peer_are_still_received() {
    for loopback in LOOPBACKS {
        let ((before, before_at), (_after, after_at)) = (peer(loopback), peer(loopback));
        let (socket, endpoints) = opened(loopback, before_at);
        before.send_to(b"in time", endpoints.local).unwrap();
        socket.reconnect(endpoints, &after_at.into()).unwrap();
        assert_eq!(received(socket), b"in time");
    }
}

#[test]
fn an_invalid_peer_is_refused_and_the_old_one_stays() {
    for (loopback, impossible) in [
        ("127.0.0.1:0", ["[::1]:8000", "0.0.0.0:8000", "224.0.0.1:8000", "127.0.0.1:0"]),
        ("[::1]:0", ["127.0.0.1:8000", "[::]:8000", "[ff02::1]:8000", "[::1]:0"]),
    ] {
        let (old, old_at) = peer(loopback);
        let (socket, endpoints) = opened(loopback, old_at);
        for remote in impossible.map(|remote| remote.parse().unwrap()).into_iter().chain([endpoints.local]) {
            let error = socket.reconnect(endpoints, &remote.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{remote}");
            assert!(error.hint().is_some());
        }
        old.send_to(b"Hello", endpoints.local).unwrap();
        assert_eq!(received(socket), b"Hello");
    }
}

/// A tunnel's socket whose local address is left open.
struct Open {
    runtime: Runtime,
    shared: SharedSocket,
    local: SocketAddr,
}

impl Open {
    fn to(remote: SocketAddr) -> Self {
        let (socket, endpoints) = opened(if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }, remote);
        let runtime = runtime();
        let shared = SharedSocket::new(socket, None, runtime.handle().clone()).unwrap();
        Self { runtime, shared, local: endpoints.local }
    }

    /// Returns the new local address.
    fn replace(&self, remote: SocketAddr) -> SocketAddr {
        let current = self.shared.get().unwrap();
        assert!(current.is_of_another_family(&remote.into()));
        let (socket, endpoints) = current.of_the_other_family(&remote.into()).unwrap();
        self.shared.replace(socket).unwrap();
        endpoints.local
    }
}

const NOT_JOINED: CoalesceOptions = CoalesceOptions { tcp: false, udp: false };

const BOTH_WAYS: [[&str; 2]; 2] = [["127.0.0.1:0", "[::1]:0"], ["[::1]:0", "127.0.0.1:0"]];

#[test]
fn a_peer_of_the_other_family_gets_a_socket_of_its_own() {
    for [loopback, other_loopback] in BOTH_WAYS {
        let ((before, before_at), (after, after_at)) = (peer(loopback), peer(other_loopback));
        let open = Open::to(before_at);
        let connection = Connection::new(&open.shared).unwrap();
        before.send_to(b"in time", open.local).unwrap();
        let local = open.replace(after_at);
        assert_eq!(local.is_ipv4(), after_at.is_ipv4());
        before.send_to(b"late", open.local).unwrap();
        after.send_to(b"Hello", local).unwrap();
        let stranger = UdpSocket::bind(other_loopback).unwrap();
        stranger.send_to(b"stranger", local).unwrap();
        connection.follow();
        assert_eq!(received_by(&open.runtime, &connection), b"in time", "what had arrived is not lost");
        assert_eq!(received_by(&open.runtime, &connection), b"Hello");
        let nothing = connection.try_recv(&mut [0; 100]).err().map(|error| error.kind());
        assert_eq!(nothing, Some(std::io::ErrorKind::WouldBlock));
        connection.try_send(&[std::io::IoSlice::new(b"World")], Outer::default()).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(after.recv_from(&mut buffer).unwrap(), (5, local));
        // Nothing of the socket that was replaced is left.
        UdpSocket::bind(open.local).unwrap();
    }
}

#[test]
fn nothing_that_arrived_is_lost_when_the_family_changes_more_often_than_the_pumps_look() {
    let peers = BOTH_WAYS[0].map(peer);
    let open = Open::to(peers[0].1);
    let connection = Connection::new(&open.shared).unwrap();
    let mut local = open.local;
    for turn in 0..20_u8 {
        peers[usize::from(turn % 2)].0.send_to(&[turn], local).unwrap();
        local = open.replace(peers[usize::from((turn + 1) % 2)].1);
    }
    connection.follow();
    for turn in 0..20 {
        assert_eq!(received_by(&open.runtime, &connection), [turn]);
    }
}

#[test]
fn datagrams_lost_to_a_full_buffer_are_counted_across_sockets() {
    let peers = BOTH_WAYS[0].map(peer);
    let open = Open::to(peers[0].1);
    let connection = Connection::new(&open.shared).unwrap();
    let mut local = open.local;
    let mut buffer = vec![0; 65_536];
    let mut counts = vec![];
    for turn in 0..4 {
        SockRef::from(&*open.shared.get().unwrap()).set_recv_buffer_size(10_000).unwrap();
        let from = &peers[turn % 2].0;
        for _ in 0..20 {
            from.send_to(&[0; 5000], local).unwrap();
        }
        // A datagram has the number of those lost before it.
        while connection.try_recv(&mut buffer).is_ok() {}
        from.send_to(b"last", local).unwrap();
        connection.follow();
        let last = open.runtime.block_on(async {
            loop {
                match connection.try_recv(&mut buffer) {
                    Ok(datagrams) if datagrams.len == 4 => return datagrams.overflow,
                    Ok(_) => {}
                    Err(_) => tokio::time::timeout(LIMIT, connection.readable()).await.unwrap().unwrap(),
                }
                tokio::task::yield_now().await;
            }
        });
        counts.push(last.unwrap());
        local = open.replace(peers[(turn + 1) % 2].1);
        connection.follow();
    }
    assert!(counts[0] > 0 && counts.is_sorted_by(|one, next| one < next), "{counts:?}");
}

#[test]
fn a_sender_that_waits_for_the_socket_goes_on_with_the_one_that_replaces_it() {
    let peers = BOTH_WAYS[0].map(peer);
    let open = Open::to(peers[0].1);
    let connection = Connection::new(&open.shared).unwrap();
    open.runtime.block_on(async {
        let follow = async {
            tokio::task::yield_now().await;
            open.replace(peers[1].1);
            connection.follow();
        };
        // Also if the previous one never becomes writable again.
        let both = async { tokio::join!(connection.writable(), connection.room(), follow) };
        let (waited, waited_again, ()) = tokio::time::timeout(LIMIT, both).await.unwrap();
        waited.and(waited_again).unwrap();
        assert!(connection.has_new_room());
    });
}

#[test]
fn pumps_that_start_after_the_peer_has_changed_use_the_new_socket() {
    type Start = fn(&Connection<'_>);
    let starts: [Start; 2] = [
        |connection| drop(Sender::new(connection, &context())),
        |connection| drop(Decap::new(&FakeDevice::default(), connection, NOT_JOINED, &context())),
    ];
    for start in starts {
        let [before, after] = BOTH_WAYS[0].map(peer);
        let open = Open::to(before.1);
        let connection = Connection::new(&open.shared).unwrap();
        open.replace(after.1);
        start(&connection);
        connection.try_send(&[std::io::IoSlice::new(b"Hello")], Outer::default()).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(after.0.recv(&mut buffer).unwrap(), 5);
    }
}

#[test]
fn a_socket_whose_local_address_is_given_has_its_family() {
    for [loopback, other_loopback] in BOTH_WAYS {
        let ((_old, old_at), (_other, other_at)) = (peer(loopback), peer(other_loopback));
        let (socket, endpoints) = opened(loopback, old_at);
        assert!(!socket.is_of_another_family(&other_at.into()));
        let refused = socket.reconnect(endpoints, &other_at.into()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidOptions);
    }
}

#[test]
fn a_socket_is_not_replaced_after_the_end() {
    let [(_v4, v4), (_v6, v6)] = BOTH_WAYS[0].map(peer);
    let open = Open::to(v4);
    let (socket, _) = open.shared.get().unwrap().of_the_other_family(&v6.into()).unwrap();
    open.shared.close();
    assert!(open.shared.get().is_none());
    assert_eq!(open.shared.replace(socket).unwrap_err().kind(), ErrorKind::Closed);
}
