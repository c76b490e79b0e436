//! Filters that decide which datagrams a UDP socket accepts.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{SockFilter, SockRef, Socket};

use crate::error::Error;

/// Attaches a filter so that `socket` accepts only datagrams of `remote`, even while it is not connected.
///
/// The kernel compares the sender of a datagram with the peer of a socket when it looks for the socket, and puts the datagram
/// into the receive buffer a little later, when the socket may have another peer. The filter runs in between
/// (`udp_queue_rcv_one_skb` in net/ipv4/udp.c).
pub(crate) fn admit_only(socket: &SockRef<'_>, remote: SocketAddr) -> io::Result<()> {
    socket.attach_filter(&program(remote))
}

/// The same, with an error in words.
pub(crate) fn limit_to(socket: &Socket, remote: SocketAddr) -> Result<(), Error> {
    admit_only(&SockRef::from(socket), remote)
        .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to the peer"))
}

/// Attaches a filter so that `socket` accepts no datagram.
pub(crate) fn admit_nothing(socket: &SockRef<'_>) -> io::Result<()> {
    socket.attach_filter(&[instruction(libc::BPF_RET | libc::BPF_K, 0, 0)])
}

/// A value that a datagram must have: how it is loaded, from where, and what it is.
type Check = (u32, u32, u32);

/// Each check is a load and a jump to the last instruction if it fails (bpf(4) of the BSDs; linux/filter.h).
fn program(remote: SocketAddr) -> Vec<SockFilter> {
    let checks = checks(remote);
    let mut program = Vec::with_capacity(2 * checks.len() + 2);
    for (index, &(width, at, value)) in checks.iter().enumerate() {
        let to_the_last = 2 * (checks.len() - index) - 1;
        program.push(instruction(libc::BPF_LD | width | libc::BPF_ABS, 0, at));
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_the_last as u8, value));
    }
    // How many bytes are kept: all, or none.
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

fn checks(remote: SocketAddr) -> Vec<Check> {
    /// Where the IP header is for loads; the UDP header is at zero, and begins with the sender's port.
    const IP_HEADER: u32 = libc::SKF_NET_OFF.cast_unsigned();
    const PORT: u32 = 0;
    let port = (libc::BPF_H, PORT, u32::from(remote.port()));
    let word = |at: u32, value: u32| (libc::BPF_W, IP_HEADER.wrapping_add(at), value);
    match remote.ip() {
        IpAddr::V4(ip) => vec![port, word(12, ip.to_bits())],
        IpAddr::V6(ip) => {
            let words = (0..4).map(|index| word(8 + 4 * index, (ip.to_bits() >> (96 - 32 * index)) as u32));
            std::iter::once(port).chain(words).collect()
        }
    }
}

fn instruction(code: u32, if_not: u8, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, if_not, value)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn bound(address: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn an_unconnected_socket_receives_only_from_the_admitted_address() {
        for (host, other_host) in [("127.0.0.1:0", "127.0.0.2:0"), ("[::1]:0", "[::1]:0")] {
            let ((socket, at), (peer, peer_at)) = (bound(host), bound(host));
            admit_only(&SockRef::from(&socket), peer_at).unwrap();
            let other_port = bound(host).0;
            let mut same_port: SocketAddr = other_host.parse().unwrap();
            same_port.set_port(peer_at.port());
            let other_address = UdpSocket::bind(same_port);
            for stranger in [Ok(other_port), other_address].into_iter().flatten() {
                stranger.send_to(b"stranger", at).unwrap();
            }
            peer.send_to(b"Hello World", at).unwrap();
            let mut buffer = [0; 100];
            let (len, sender) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], sender), (&b"Hello World"[..], peer_at));
        }
    }

    #[test]
    fn each_part_of_an_address_counts() {
        for (remote, others) in [
            ("192.0.2.1:8000", ["192.0.2.0:8000", "64.0.2.1:8000", "192.0.2.1:8001"].as_slice()),
            (
                "[2001:db8:1:2:3:4:5:6]:8000",
                &[
                    "[2001:db8:1:2:3:4:5:7]:8000",
                    "[2001:db8:1:2:3:5:5:6]:8000",
                    "[2001:db8:1:3:3:4:5:6]:8000",
                ],
            ),
        ] {
            let values = |address: &str| checks(address.parse().unwrap()).into_iter().map(|check| check.2);
            for other in others {
                assert!(values(remote).ne(values(other)), "{remote} and {other}");
            }
        }
    }
}
