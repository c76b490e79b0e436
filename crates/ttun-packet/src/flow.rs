//! What tells flows apart.

use std::ops::Deref;

use crate::packet::{Fragment, IpPacket, Transport, Version};

/// The flow of a packet: addresses, protocol, and ports. Packets without ports belong together if their addresses and protocol are the
/// same, and so do fragments, of which only the first has ports. Their identification does not distinguish flows: each large datagram of
/// one sender would be a flow of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Source and destination, an IPv4 one in the first four bytes of each.
    addresses: [[u8; 16]; 2],
    protocol: u8,
    within: Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Within {
    Ports(u16, u16),
    Fragments,
    All,
}

impl Flow {
    /// The flow that `packet` belongs to.
    #[must_use]
    pub fn of<Bytes: Deref<Target = [u8]>>(packet: &IpPacket<Bytes>) -> Self {
        let transport = packet.transport();
        let is_fragment = transport.is_some_and(|transport| transport.fragment() != Fragment::Whole);
        let within = match (packet.ports(), transport) {
            _ if is_fragment => Within::Fragments,
            (Some((source, destination)), _) => Within::Ports(source, destination),
            (None, _) => Within::All,
        };
        let protocol = transport.map_or(0, Transport::protocol);
        Self { addresses: addresses(packet), protocol, within }
    }
}

fn addresses<Bytes: Deref<Target = [u8]>>(packet: &IpPacket<Bytes>) -> [[u8; 16]; 2] {
    let mut addresses = [[0; 16]; 2];
    match packet.version() {
        Version::V4 => {
            for (address, at) in addresses.iter_mut().zip([12, 16]) {
                address[..4].copy_from_slice(&packet.field::<4>(at).unwrap_or_default());
            }
        }
        Version::V6 => addresses = [8, 24].map(|at| packet.field(at).unwrap_or_default()),
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let len = (20 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        for word in [len, id, fragment] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend(payload);
        packet
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
        packet.extend([1; 16]);
        packet.extend([2; 16]);
        packet.extend(payload);
        packet
    }

    fn flow(packet: &[u8]) -> Flow {
        Flow::of(&IpPacket::parse(packet).unwrap())
    }

    const UDP: [u8; 8] = [0x10, 0, 0x20, 0, 0, 8, 0, 0];
    const OTHER_PORT: [u8; 8] = [0x10, 1, 0x20, 0, 0, 8, 0, 0];

    #[test]
    fn ports_protocols_and_addresses_tell_flows_apart() {
        let packet = ipv4(17, 1, 0, &UDP);
        assert_eq!(flow(&packet), flow(&ipv4(17, 2, 0, &UDP)));
        assert_ne!(flow(&packet), flow(&ipv4(17, 1, 0, &OTHER_PORT)));
        assert_ne!(flow(&packet), flow(&ipv4(132, 1, 0, &UDP)));
        for at in [12, 19] {
            let mut other = packet.clone();
            other[at] += 1;
            assert_ne!(flow(&packet), flow(&other));
        }
        assert_ne!(flow(&ipv6(17, &UDP)), flow(&ipv6(17, &OTHER_PORT)));
        assert_eq!(flow(&ipv6(58, &[128, 0, 0, 0, 0, 1])), flow(&ipv6(58, &[129, 0, 0, 0, 0, 2])));
    }

    #[test]
    fn all_fragments_between_two_hosts_belong_together() {
        let first = flow(&ipv4(17, 7, 0x2000, &UDP));
        assert_eq!(first, flow(&ipv4(17, 7, 0x0001, &[0; 30])));
        assert_eq!(first, flow(&ipv4(17, 8, 0x2000, &OTHER_PORT)));
        assert_ne!(first, flow(&ipv4(17, 7, 0, &UDP)));
        assert_ne!(first, flow(&ipv4(1, 7, 0x2000, &UDP)));
        let of_ipv6 = |offset: u8, id: u8, payload: &[u8]| {
            let mut bytes = vec![17, 0, 0, offset, 0, 0, 0, id];
            bytes.extend(payload);
            flow(&ipv6(44, &bytes))
        };
        assert_eq!(of_ipv6(1, 7, &UDP), of_ipv6(8, 7, &[0; 30]));
        assert_eq!(of_ipv6(1, 7, &UDP), of_ipv6(1, 8, &OTHER_PORT));
        assert_ne!(of_ipv6(1, 7, &UDP), flow(&ipv6(17, &UDP)));
    }

    #[test]
    fn a_packet_with_broken_headers_has_a_flow_too() {
        assert_eq!(flow(&ipv6(43, &[])), flow(&ipv6(43, &[])));
    }
}
