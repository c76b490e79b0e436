//! A site with a tunnel of which the test is the other end.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, channel};

use ttun_core::{End, Endpoint, Offload, Tunnel, TunnelOptions, TunnelStats};

use crate::tun::{LIMIT, eventually};
use ttun_testkit::run;

/// IPv4 and UDP headers, bytes.
pub(crate) const HEADERS: usize = 28;

/// Options of a tunnel over loopback, to no peer.
pub(crate) fn options(device: &str) -> TunnelOptions {
    TunnelOptions::plain(device, endpoint("127.0.0.1:0"), endpoint("127.0.0.1:8000"))
}

/// An address and port without a zone.
pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.parse::<SocketAddr>().unwrap().into()
}

/// Makes `tun0` with 10.0.2.1/24, up, and without packets of its own accord.
pub(crate) fn make_device() {
    run("ip tuntap add dev tun0 mode tun");
    run("ip link set tun0 addrgenmode none");
    run("ip address add 10.0.2.1/24 dev tun0");
    run("ip link set tun0 up");
}

/// Everything that `ip` shows of a device but its counters and the header flag, which each program
/// that attaches sets as it needs it.
pub(crate) fn description(device: &str) -> String {
    run(&format!("ip -details -json address show dev {device}"))
        .replace("\"vnet_hdr\":true", "\"vnet_hdr\":false")
}

/// What is sent before the kernel has noticed that a program is attached (linkwatch) is dropped by it.
pub(crate) fn await_up() {
    let is_up = || {
        let shown = run("ip -brief link show tun0");
        // A device that was attached to before it was brought up never reports it (RFC 2863 state "unknown").
        shown.contains(" UP ") || shown.contains(" UNKNOWN ")
    };
    eventually("the device is up", is_up);
}

pub(crate) struct Site {
    pub(crate) tunnel: Tunnel,
    /// The other end of the tunnel, which sees inner packets as datagrams.
    pub(crate) peer: UdpSocket,
    /// A program of this site, which talks to 10.0.2.2 behind the tunnel.
    pub(crate) program: UdpSocket,
}

impl Site {
    /// In a namespace of its own, over a device that was there before.
    pub(crate) fn new(offload: Offload) -> Self {
        make_device();
        Self::with(TunnelOptions { offload, ..options("tun0") })
    }

    /// The peer is that of the site, whatever the options say.
    pub(crate) fn with(options: TunnelOptions) -> Self {
        let peer = bound("127.0.0.1:0");
        let remote = peer.local_addr().unwrap().into();
        let tunnel = Tunnel::open(&TunnelOptions { remote, ..options }).unwrap();
        peer.connect(tunnel.stats().socket.local).unwrap();
        await_up();
        let program = bound("10.0.2.1:7000");
        program.connect("10.0.2.2:9000").unwrap();
        Self { tunnel, peer, program }
    }

    /// Closes the tunnel; then its figures are exact.
    pub(crate) fn closed(&self) -> TunnelStats {
        assert!(matches!(self.tunnel.close(), End::Closed));
        self.tunnel.stats()
    }

    /// The inner packet that comes to the peer next.
    pub(crate) fn outbound(&self) -> Vec<u8> {
        received(&self.peer)
    }

    /// What the program receives next.
    pub(crate) fn inbound(&self) -> Vec<u8> {
        received(&self.program)
    }
}

/// The end of `tunnel`, as reported to a listener.
pub(crate) fn end_of(tunnel: &Tunnel) -> Receiver<End> {
    let (sender, receiver) = channel();
    tunnel.on_end(move |end| sender.send(end.clone()).unwrap());
    receiver
}

pub(crate) fn bound(address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

pub(crate) fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = socket.recv(&mut buffer).expect("something arrives");
    buffer.truncate(len);
    buffer
}

/// Sends `bytes` to 10.0.2.2 as one super-packet of datagrams of `segment_len` bytes.
pub(crate) fn send_segmented(socket: &UdpSocket, bytes: &[u8], segment_len: libc::c_int) {
    let option_len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads one int, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const segment_len).cast(),
            option_len,
        )
    };
    assert_eq!(result, 0, "UDP_SEGMENT needs kernel 4.18");
    socket.connect("10.0.2.2:9000").unwrap();
    socket.send(bytes).unwrap();
}

/// The inner packet by which 10.0.2.2 answers the program. Its UDP checksum is absent.
pub(crate) fn answer(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(((HEADERS + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 2, 2, 10, 0, 2, 1]);
    let sum: u32 = packet.chunks(2).map(|word| u32::from(word[0]) * 256 + u32::from(word[1])).sum();
    let checksum = !((sum >> 16) + (sum & 0xFFFF)) as u16;
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(9000_u16.to_be_bytes());
    packet.extend(7000_u16.to_be_bytes());
    packet.extend(((8 + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}
