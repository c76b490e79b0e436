//! Packets that would go round and round: the tunnel's own, routed back into its device.

use std::net::{IpAddr, SocketAddr};

use crate::bytes::be16;
use crate::ip::{self, Fragment, Version};
use crate::udp;

/// Whether `packet`, read from the device, is one of those that the tunnel itself sends to `remote`: UDP to its
/// address and port, or a fragment without ports of UDP to its address. Such a packet comes when the route to the peer
/// leads into the tunnel; sending it on would wrap it again and again.
///
/// Works on super-packets as well as on single packets.
#[must_use]
pub fn is_routing_loop(packet: &[u8], remote: &SocketAddr) -> bool {
    is_to_address(packet, remote.ip().to_canonical()) && is_to_port(packet, remote.port())
}

fn is_to_address(packet: &[u8], address: IpAddr) -> bool {
    match (ip::version(packet), address) {
        (Some(Version::V4), IpAddr::V4(address)) => packet.get(16..20) == Some(address.octets().as_slice()),
        (Some(Version::V6), IpAddr::V6(address)) => packet.get(24..40) == Some(address.octets().as_slice()),
        (Some(Version::V4 | Version::V6) | None, _) => false,
    }
}

fn is_to_port(packet: &[u8], port: u16) -> bool {
    ip::transport(packet).is_some_and(|found| {
        found.protocol == ip::UDP
            && (found.fragment == Fragment::Later
                || be16(packet, found.offset + udp::field::DESTINATION_PORT) == Some(port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "192.0.2.2:8000";
    const V6: &str = "[2001:db8::2]:8000";

    fn ipv4(protocol: u8, destination: [u8; 4], fragment: u16, port: u16) -> Vec<u8> {
        let mut packet = vec![0; 28];
        packet[0] = 0x45;
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet[9] = protocol;
        packet[16..20].copy_from_slice(&destination);
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet
    }

    /// `extension` stands before UDP; its first byte is replaced by UDP's number.
    fn ipv6(next_header: u8, extension: &[u8], port: u16) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[6] = next_header;
        packet[24..40].copy_from_slice(&"2001:db8::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
        packet.extend(extension);
        if let Some(next) = packet.get_mut(40) {
            *next = ip::UDP;
        }
        packet.extend([0, 0]);
        packet.extend(port.to_be_bytes());
        packet.extend([0; 4]);
        packet
    }

    fn loops(packet: &[u8], remote: &str) -> bool {
        is_routing_loop(packet, &remote.parse().unwrap())
    }

    #[test]
    fn udp_to_the_remote_address_and_port_loops() {
        assert!(loops(&ipv4(17, [192, 0, 2, 2], 0, 8000), V4));
        assert!(loops(&ipv6(17, &[], 8000), V6));
    }

    #[test]
    fn another_address_port_or_protocol_does_not() {
        assert!(!loops(&ipv4(17, [192, 0, 2, 3], 0, 8000), V4));
        assert!(!loops(&ipv4(17, [192, 0, 2, 2], 0, 8001), V4));
        assert!(!loops(&ipv4(6, [192, 0, 2, 2], 0, 8000), V4));
        assert!(!loops(&ipv6(17, &[], 8001), V6));
        assert!(!loops(&ipv6(6, &[], 8000), V6));
        assert!(!loops(&ipv6(17, &[], 8000), "[2001:db8::3]:8000"));
    }

    #[test]
    fn the_other_family_does_not() {
        assert!(!loops(&ipv4(17, [192, 0, 2, 2], 0, 8000), V6));
        assert!(!loops(&ipv6(17, &[], 8000), V4));
    }

    #[test]
    fn a_later_fragment_of_udp_to_the_remote_address_loops_whatever_it_holds() {
        assert!(loops(&ipv4(17, [192, 0, 2, 2], 0x00B9, 1), V4));
        assert!(loops(&ipv4(17, [192, 0, 2, 2], 0x20B9, 1), V4));
        assert!(!loops(&ipv4(6, [192, 0, 2, 2], 0x00B9, 1), V4));
        assert!(!loops(&ipv4(17, [192, 0, 2, 3], 0x00B9, 1), V4));
        assert!(loops(&ipv6(44, &[0, 0, 0x05, 0xC8, 0, 0, 0, 1], 1), V6));
    }

    #[test]
    fn a_first_fragment_is_known_by_its_port() {
        assert!(loops(&ipv4(17, [192, 0, 2, 2], 0x2000, 8000), V4));
        assert!(!loops(&ipv4(17, [192, 0, 2, 2], 0x2000, 8001), V4));
        assert!(loops(&ipv6(44, &[0, 0, 0, 1, 0, 0, 0, 1], 8000), V6));
        assert!(!loops(&ipv6(44, &[0, 0, 0, 1, 0, 0, 0, 1], 8001), V6));
    }

    #[test]
    fn ipv6_extension_headers_hide_nothing() {
        assert!(loops(&ipv6(60, &[0, 0, 1, 4, 0, 0, 0, 0], 8000), V6));
        assert!(!loops(&ipv6(60, &[0, 0, 1, 4, 0, 0, 0, 0], 8001), V6));
    }

    #[test]
    fn ipv4_options_hide_nothing() {
        let mut packet = ipv4(17, [192, 0, 2, 2], 0, 1);
        packet[0] = 0x46;
        packet.splice(20..20, [1, 1, 1, 1]);
        packet[26..28].copy_from_slice(&8000_u16.to_be_bytes());
        assert!(loops(&packet, V4));
    }

    #[test]
    fn a_mapped_remote_is_its_ipv4_address() {
        assert!(loops(&ipv4(17, [192, 0, 2, 2], 0, 8000), "[::ffff:192.0.2.2]:8000"));
    }

    #[test]
    fn a_packet_cut_short_does_not_loop() {
        let whole = ipv4(17, [192, 0, 2, 2], 0, 8000);
        for len in 0..24 {
            assert!(!loops(&whole[..len], V4), "{len} bytes");
        }
        let whole = ipv6(17, &[], 8000);
        for len in 0..44 {
            assert!(!loops(&whole[..len], V6), "{len} bytes");
        }
    }
}
