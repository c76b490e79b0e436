//! A listener for all datagrams that arrive at this host, whether or not a socket receives them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Where UDP datagrams came from, and the port of this host to which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// The sender.
    pub from: SocketAddr,
    /// The local port.
    pub port: u16,
}

/// Captures all UDP datagrams of a family that arrive at this host during `period`, and counts them by sender and local port. Raw sockets
/// get a copy before the kernel looks for a socket with that port (raw(7)).
///
/// # Errors
/// When no raw socket can be opened: without `CAP_NET_RAW`.
pub fn arrivals(ipv6: bool, period: Duration) -> io::Result<Vec<(Arrival, u64)>> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = UdpSocket::from(Socket::new(domain, Type::RAW, Some(Protocol::UDP))?);
    let mut counts = HashMap::new();
    let end = Instant::now() + period;
    // Enough for the headers: the rest is cut off.
    let mut buffer = [0; 128];
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left))?;
        let (len, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let datagram = buffer.get(..len).unwrap_or_default();
        if let Some(arrival) = if ipv6 { of_ipv6(datagram, from.ip()) } else { of_ipv4(datagram) } {
            *counts.entry(arrival).or_insert(0) += 1;
        }
    }
    Ok(counts.into_iter().collect())
}

/// Raw sockets of IPv4 get the IP header as well.
fn of_ipv4(packet: &[u8]) -> Option<Arrival> {
    let header_len = usize::from(packet.first()? & 0xf) * 4;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    of_ipv6(packet.get(header_len..)?, Ipv4Addr::from(source).into())
}

/// Those of IPv6 get what follows it.
fn of_ipv6(datagram: &[u8], from: IpAddr) -> Option<Arrival> {
    let port = |at: usize| Some(u16::from_be_bytes(datagram.get(at..at + 2)?.try_into().ok()?));
    Some(Arrival { from: SocketAddr::new(from, port(0)?), port: port(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_are_found_behind_options_of_the_ip_header() {
        let mut packet =
            vec![0x46, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1, 1, 1, 1, 0];
        packet.extend([0x1f, 0x40, 0x23, 0x28, 0, 8, 0, 0]);
        let from = "192.0.2.2:8000".parse().unwrap();
        assert_eq!(of_ipv4(&packet), Some(Arrival { from, port: 9000 }));
        for len in 0..28 {
            assert_eq!(of_ipv4(&packet[..len]), None, "{len} bytes");
        }
    }
}
