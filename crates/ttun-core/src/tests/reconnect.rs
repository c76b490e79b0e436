//! The real socket with another peer, over loopback.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;

use super::options::to;
use crate::ErrorKind;
use crate::io::{DatagramSocket, Readiness};
use crate::message;
use crate::shared::Endpoints;
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

fn opened(loopback: &str, remote: SocketAddr) -> (Arc<PeerSocket>, Endpoints) {
    let (socket, endpoints) = socket::open(&to(loopback.parse().unwrap(), remote)).unwrap();
    (Arc::new(socket), endpoints)
}

/// The next datagram.
fn received(socket: &Arc<PeerSocket>) -> Vec<u8> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut buffer = vec![0; 65_536];
    let len = runtime.block_on(async {
        let handle = Readiness::new(Arc::clone(socket)).unwrap();
        loop {
            match handle.try_recv(&mut buffer) {
                Ok(datagrams) => return datagrams.len,
                Err(_) => tokio::time::timeout(LIMIT, handle.readable()).await.unwrap().unwrap(),
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
        assert_eq!(received(&socket), b"Hello");
        message::send(socket.as_fd(), &[std::io::IoSlice::new(b"World")], None).unwrap();
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
        assert_eq!(received(&socket), b"in time");
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
        assert_eq!(received(&socket), b"Hello");
    }
}
