//! UDP datagrams that carry another tunnel, which must not become a super-packet.
//!
//! The receiving kernel takes the super-packet apart again before a tunnel device sees it, or not, and what it knows by
//! then of checksums is about the outer UDP, not about the packets inside. Kernels before 6.8.5 dropped all that
//! came to VXLAN and Geneve this way. Nothing is lost by not merging: what such a tunnel carries is mostly TCP,
//! which is merged behind it.
//!
//! Encrypted tunnels (WireGuard, IPsec, OpenVPN) are ordinary datagrams to the kernel and are merged.

use crate::ip;

/// Whether a datagram between these ports holds a packet with checksums of its own.
pub(super) fn is_carried(source_port: u16, destination_port: u16, payload: &[u8]) -> bool {
    is_tunnel_port(source_port) || is_tunnel_port(destination_port) || is_ip_packet(payload)
}

/// Either port tells, since answers may come from the tunnel's port.
fn is_tunnel_port(port: u16) -> bool {
    matches!(
        port,
        1701            // L2TP (RFC 2661, RFC 3931)
        | 2152          // GTP-U (3GPP TS 29.281)
        | 3544          // Teredo (RFC 4380)
        | 4341          // LISP (RFC 9300)
        | 4754          // GRE in UDP (RFC 8086)
        | 4789 | 4790   // VXLAN (RFC 7348) and VXLAN-GPE
        | 4791          // RoCEv2: no tunnel, but its own checksum covers the IPv4 ID
        | 5247          // CAPWAP data (RFC 5415)
        | 6080 | 6081   // GUE, Geneve (RFC 8926)
        | 6635          // MPLS in UDP (RFC 7510)
        | 8472 // VXLAN as Linux had it before the port was assigned, and flannel still has
    )
}

/// Tunnels without a header of their own, such as this one, FOU and GUE variant 1, can be on any port, but each of
/// their datagrams is exactly one packet. Others look like that once in many thousand, and then are merely not merged.
fn is_ip_packet(payload: &[u8]) -> bool {
    ip::packet_len(payload) == Some(payload.len())
}
