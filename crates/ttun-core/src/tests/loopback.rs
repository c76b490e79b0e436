//! The real socket, over loopback: what the kernel does with segmented sends and joined receives, with
//! errors and with a full buffer.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::runtime::{Builder, Runtime};
use ttun_packet::Version;

use super::options::to;
use crate::io::{Behind, DatagramSocket, Datagrams, Outer, Readiness};
use crate::message::{self, IntOption};
use crate::options::{Offload, TunnelOptions};
use crate::socket::{self, Granted, PeerSocket};

/// Nothing on loopback takes as long.
const LIMIT: Duration = Duration::from_secs(10);

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// A tunnel's socket, and a plain one that it is connected to.
struct Link {
    runtime: Runtime,
    socket: Arc<PeerSocket>,
    local: SocketAddr,
    handle: Readiness<Arc<PeerSocket>>,
    peer: UdpSocket,
}

impl Link {
    fn new(loopback: &str, offload: Offload) -> Self {
        let peer = UdpSocket::bind(loopback).expect("this host has loopback addresses of both families");
        let local = loopback.parse().unwrap();
        let remote = peer.local_addr().unwrap();
        let options = TunnelOptions { offload, ..to(local, remote) };
        let (socket, endpoints) = socket::open(&options, &remote.into()).unwrap();
        let socket = Arc::new(socket);
        peer.connect(endpoints.local).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _runtime = runtime.enter();
        let handle = Readiness::new(Arc::clone(&socket)).unwrap();
        Self { runtime, handle, socket, local: endpoints.local, peer }
    }

    /// Waits for the next datagrams: bytes, and their metadata.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        let receiving = async {
            loop {
                match self.handle.try_recv(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.handle.readable().await?,
                    done => return done,
                }
                tokio::task::yield_now().await;
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, receiving).await }).expect("nothing came")
    }

    /// Sends from the peer.
    fn send_from_peer(&self, bytes: &[u8], outer: Outer) {
        let version = if self.local.is_ipv4() { Version::V4 } else { Version::V6 };
        message::send(self.peer.as_fd(), version, &[IoSlice::new(bytes)], outer).unwrap();
    }

    /// The datagrams that come to the peer next.
    fn arrived(&self, count: usize) -> Vec<Vec<u8>> {
        let next = || {
            let mut buffer = vec![0; 65_536];
            let len = self.peer.recv(&mut buffer).expect("a datagram arrives");
            buffer.truncate(len);
            buffer
        };
        (0..count).map(|_| next()).collect()
    }
}

/// Datagrams of `len` bytes and a shorter one, each telling its place.
fn datagrams(count: u8, len: usize) -> Vec<Vec<u8>> {
    let lens = (0..count).map(|index| if index + 1 == count { len / 3 } else { len });
    (0..count).zip(lens).map(|(index, len)| vec![index; len]).collect()
}

#[test]
fn a_segmented_send_arrives_as_datagrams_in_order() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let datagrams = datagrams(40, 1000);
        let bytes = datagrams.concat();
        // Pieces that end within datagrams, as headers and payloads do.
        let pieces: Vec<_> = bytes.chunks(333).map(IoSlice::new).collect();
        link.handle
            .try_send(&pieces, Outer { segment_len: Some(1000), tos: None, ..Outer::default() })
            .unwrap();
        assert_eq!(link.arrived(40), datagrams);
    }
}

#[test]
fn a_send_without_segments_arrives_as_one_datagram() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        link.handle.try_send(&[IoSlice::new(b"Hello "), IoSlice::new(b"World")], Outer::default()).unwrap();
        assert_eq!(link.arrived(1), [b"Hello World"]);
    }
}

#[test]
fn the_tos_octet_of_a_send_arrives_with_its_datagrams() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let bytes = datagrams(40, 1000).concat();
        let mut buffer = vec![0; 65_536];
        let mut received = || link.receive(&mut buffer).map(|received| (received.len, received.tos)).unwrap();
        let together = |tos| Outer { segment_len: Some(1000), tos, ..Outer::default() };
        for tos in [None, Some(0), Some(1), Some(0xB8 | 2), Some(0xFF)] {
            link.send_from_peer(&bytes, together(tos));
            assert_eq!(received(), (bytes.len(), tos.unwrap_or(0)), "{loopback} {tos:?}");
            link.send_from_peer(b"Hello", Outer { segment_len: None, tos, ..Outer::default() });
            assert_eq!(received(), (5, tos.unwrap_or(0)), "{loopback} {tos:?}");
        }
        // Datagrams that differ in it are not joined.
        link.send_from_peer(&bytes, together(Some(1)));
        link.send_from_peer(&bytes, together(Some(3)));
        assert_eq!([received(), received()], [(bytes.len(), 1), (bytes.len(), 3)]);
    }
}

#[test]
fn a_tunnel_sends_with_the_tos_octet_that_is_asked_for() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        for option in [IntOption::RECEIVE_TOS, IntOption::RECEIVE_TRAFFIC_CLASS] {
            // A socket has the option of its own family only.
            let _ = option.set(link.peer.as_fd(), 1);
        }
        let mut buffer = [0; 100];
        for (segment_len, datagrams) in [(None, 1), (Some(10), 2)] {
            for tos in [Some(0xB8 | 1), None, Some(3)] {
                link.handle
                    .try_send(&[IoSlice::new(&[0; 20])], Outer { segment_len, tos, ..Outer::default() })
                    .unwrap();
                for _ in 0..datagrams {
                    let received = message::receive(link.peer.as_fd(), &mut buffer).unwrap();
                    assert_eq!(
                        (received.len, received.tos),
                        (20 / datagrams, tos.unwrap_or(0)),
                        "{loopback}"
                    );
                }
            }
        }
    }
}

#[test]
fn datagrams_sent_together_are_received_together_with_their_stride() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let datagrams = datagrams(40, 1000);
        let bytes = datagrams.concat();
        link.send_from_peer(&bytes, Outer { segment_len: Some(1000), tos: None, ..Outer::default() });
        let mut buffer = vec![0; 65_536];
        let received = link.receive(&mut buffer).unwrap();
        assert_eq!((received.len, received.stride, received.truncated), (bytes.len(), 1000, false));
        assert!(buffer[..received.len] == bytes);
    }
}

#[test]
fn datagrams_are_received_one_by_one_where_joining_is_off() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload { receive: false, ..Offload::ALL });
        let datagrams = datagrams(40, 1000);
        link.send_from_peer(
            &datagrams.concat(),
            Outer { segment_len: Some(1000), tos: None, ..Outer::default() },
        );
        let mut buffer = vec![0; 65_536];
        for datagram in datagrams {
            let received = link.receive(&mut buffer).unwrap();
            assert_eq!((received.len, received.stride), (datagram.len(), datagram.len()));
            assert!(buffer[..received.len] == datagram);
        }
    }
}

#[test]
fn datagrams_that_the_peer_sends_one_by_one_all_arrive_in_order() {
    let link = Link::new("127.0.0.1:0", Offload::ALL);
    for index in 0..200 {
        link.peer.send(&[index; 100]).unwrap();
    }
    let mut arrived = vec![];
    let mut buffer = vec![0; 65_536];
    while arrived.len() < 200 * 100 {
        let received = link.receive(&mut buffer).unwrap();
        assert_eq!(received.stride, 100);
        arrived.extend_from_slice(&buffer[..received.len]);
    }
    assert!(arrived.chunks(100).zip(0..200).all(|(datagram, index)| datagram == [index; 100]));
}

#[test]
fn a_receive_of_two_says_that_nothing_is_behind_and_misses_nothing_that_comes_then() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let [mut first, mut second] = [(); 2].map(|()| vec![0; 65_536]);
        let mut receive = || {
            let receiving = async {
                loop {
                    match link.handle.try_recv_two(&mut first, &mut second) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            link.handle.readable().await?;
                        }
                        done => return done,
                    }
                    tokio::task::yield_now().await;
                }
            };
            let waited = async { tokio::time::timeout(LIMIT, receiving).await };
            link.runtime.block_on(waited).expect("nothing came").unwrap()
        };
        let lens: [&[usize]; 3] = [&[100], &[100, 200], &[100, 200, 300]];
        for lens in lens.repeat(10) {
            for &len in lens {
                link.peer.send(&vec![7; len]).unwrap();
            }
            let mut received = vec![];
            loop {
                let (datagrams, behind) = receive();
                received.push(datagrams.len);
                match behind {
                    Behind::Datagrams(datagrams) => received.push(datagrams.len),
                    Behind::Nothing => {
                        assert_eq!(
                            link.handle.try_recv(&mut [0]).map(|_| ()).unwrap_err().kind(),
                            io::ErrorKind::WouldBlock
                        );
                    }
                    Behind::Unknown => panic!("the kernel says it"),
                }
                if received.len() == lens.len() {
                    break;
                }
            }
            assert_eq!(received, lens);
        }
    }
}

#[test]
fn an_empty_datagram_is_received_as_such() {
    let link = Link::new("127.0.0.1:0", Offload::ALL);
    link.peer.send(&[]).unwrap();
    let received = link.receive(&mut [0; 100]).unwrap();
    assert_eq!((received.len, received.truncated), (0, false));
}

#[test]
fn a_datagram_longer_than_the_buffer_is_reported_as_truncated() {
    let link = Link::new("127.0.0.1:0", Offload::ALL);
    link.peer.send(&[7; 300]).unwrap();
    link.peer.send(&[8; 100]).unwrap();
    let received = link.receive(&mut [0; 299]).unwrap();
    assert_eq!((received.len, received.truncated), (299, true));
    let received = link.receive(&mut [0; 299]).unwrap();
    assert_eq!((received.len, received.truncated), (100, false));
}

#[test]
fn losses_of_a_full_receive_buffer_are_counted() {
    let link = Link::new("127.0.0.1:0", Offload { receive: false, ..Offload::ALL });
    SockRef::from(&link.socket).set_recv_buffer_size(20_000).unwrap();
    let sent = 300_u32;
    for _ in 0..sent {
        link.peer.send(&[1; 1000]).unwrap();
    }
    let mut buffer = vec![0; 65_536];
    link.receive(&mut buffer).unwrap();
    let mut arrived = 1;
    while link.handle.try_recv(&mut buffer).is_ok() {
        arrived += 1;
    }
    assert!((1..sent).contains(&arrived), "the buffer overflows");
    link.peer.send(b"after").unwrap();
    assert_eq!(link.receive(&mut buffer).unwrap().overflow, Some(sent - arrived));
}

#[test]
fn a_peer_that_is_not_there_refuses_the_next_send_and_not_the_one_after() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let address = link.peer.local_addr().unwrap();
        drop(link.peer);
        let send = || link.handle.try_send(&[IoSlice::new(b"Hello???")], Outer::default());
        assert!(send().is_ok(), "the kernel takes it");
        assert_eq!(send().unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        let peer = UdpSocket::bind(address).unwrap();
        peer.set_read_timeout(Some(LIMIT)).unwrap();
        assert!(send().is_ok());
        let mut buffer = [0; 100];
        assert_eq!(peer.recv(&mut buffer).unwrap(), 8);
    }
}

#[test]
fn a_refusal_wakes_a_pump_that_waits_for_datagrams() {
    for loopback in LOOPBACKS {
        let Link { runtime, socket, handle, peer, .. } = Link::new(loopback, Offload::ALL);
        drop(peer);
        let mut buffer = [0; 100];
        assert_eq!(handle.try_recv(&mut buffer).map(|_| ()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let refused = runtime.block_on(async {
            let waiting = async {
                loop {
                    handle.readable().await.unwrap();
                    tokio::task::yield_now().await;
                    match handle.try_recv(&mut buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        done => return done.map(|_| ()),
                    }
                }
            };
            let sending = async {
                tokio::task::yield_now().await;
                socket.send(&[IoSlice::new(b"Hello???")], Outer::default()).unwrap();
            };
            tokio::time::timeout(LIMIT, async { tokio::join!(waiting, sending).0 })
                .await
                .expect("nothing came")
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
    }
}

#[test]
fn datagrams_from_another_port_are_not_received() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        let stranger = UdpSocket::bind(loopback).unwrap();
        stranger.send_to(b"stranger", link.local).unwrap();
        link.peer.send(b"peer").unwrap();
        let mut buffer = [0; 100];
        let received = link.receive(&mut buffer).unwrap();
        assert_eq!(&buffer[..received.len], b"peer");
        assert!(link.handle.try_recv(&mut buffer).is_err());
    }
}

#[test]
fn the_mtu_of_the_route_is_known() {
    for loopback in LOOPBACKS {
        let link = Link::new(loopback, Offload::ALL);
        // 65,536 bytes, of which IPv4 uses no more than fits its total length.
        assert!(link.handle.path_mtu().is_some_and(|mtu| mtu >= 65_535), "{:?}", link.handle.path_mtu());
    }
}

#[test]
fn a_datagram_longer_than_ipv4_can_carry_is_refused_and_the_socket_goes_on() {
    let link = Link::new("127.0.0.1:0", Offload::ALL);
    let bytes = vec![0; 65_508];
    let refused = link.handle.try_send(&[IoSlice::new(&bytes)], Outer::default()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
    link.handle.try_send(&[IoSlice::new(&bytes[1..])], Outer::default()).unwrap();
    assert_eq!(link.arrived(1)[0].len(), 65_507);
}

#[test]
fn granted_offloads_are_reported() {
    let Link { socket, local, .. } = Link::new("127.0.0.1:0", Offload::ALL);
    assert_ne!(local.port(), 0);
    let all = socket.granted();
    assert_eq!((all.segments_per_send, all.gro), (64, true));
    let Granted { receive_buffer: receive, send_buffer: send, .. } = all;
    assert!(receive > 100_000 && send > 100_000, "{receive}, {send}");
    let none =
        Link::new("127.0.0.1:0", Offload { segment: false, receive: false, ..Offload::ALL }).socket.granted();
    assert_eq!((none.segments_per_send, none.gro), (1, false));
}
