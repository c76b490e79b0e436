//! A single packet that can be part of a super-packet, regardless of its neighbours.

use super::CoalesceOptions;
use crate::checksum;
use crate::packet::{
    IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, TCP, TCP_HEADER_LEN, UDP, UDP_HEADER_LEN, Version,
    is_ip_packet, tcp_flag,
};

/// The form of zero that computing a checksum never gives (except for UDP, which has it instead of the other form).
/// A packet with it is correct, but merging would change it to the other form.
const NEVER_COMPUTED: [u8; 2] = [0xFF; 2];

/// DF in byte 6 of the IPv4 header (RFC 791 section 3.1).
const DONT_FRAGMENT: u8 = 0x40;

/// A packet whose headers allow merging. Its checksums are not verified yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'p> {
    /// IP and transport header.
    pub(super) headers: &'p [u8],
    pub(super) ip: IpHeader<'p>,
    pub(super) transport: TransportHeader<'p>,
    /// Never empty.
    pub(super) payload: &'p [u8],
    /// From the addresses to the end of the packet: the range of the transport checksum, except for the protocol and the
    /// length in the pseudo header.
    addresses_and_transport: &'p [u8],
}

/// Without options and extension headers.
#[derive(Clone, Copy, Debug)]
pub(super) enum IpHeader<'p> {
    V4(&'p [u8; IPV4_HEADER_LEN]),
    V6(&'p [u8; IPV6_HEADER_LEN]),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum TransportHeader<'p> {
    Tcp { fixed: &'p [u8; TCP_HEADER_LEN], options: &'p [u8] },
    Udp(&'p [u8; UDP_HEADER_LEN]),
}

impl<'p> Candidate<'p> {
    /// `None` if the packet cannot be merged with any other.
    pub(super) fn read(packet: &IpPacket<&'p [u8]>, options: CoalesceOptions) -> Option<Self> {
        let transport = packet.transport()?;
        let offset = transport.offset();
        let bytes = packet.bytes();
        let (headers, payload) = bytes.split_at_checked(offset + transport.header_len()?)?;
        if payload.is_empty() {
            return None;
        }
        let (ip_header, transport_header) = headers.split_at_checked(offset)?;
        let (ip, addresses_at) = match packet.version() {
            Version::V4 => (IpHeader::V4(plain_ipv4(ip_header)?), 12),
            Version::V6 => (IpHeader::V6(ip_header.try_into().ok()?), 8),
        };
        let transport = match transport.protocol() {
            TCP if options.tcp => plain_tcp(transport_header)?,
            UDP if options.udp => {
                let (source, destination) = packet.ports()?;
                // Tunnels without a header of their own, such as this one, FOU and GUE variant 1, can use any port, but
                // each of their datagrams is exactly one packet. Other datagrams look like that once in many thousands,
                // and then are merely not merged.
                if is_tunnel_port(source) || is_tunnel_port(destination) || is_ip_packet(payload) {
                    return None;
                }
                plain_udp(transport_header, bytes.len() - offset)?
            }
            _ => return None,
        };
        let addresses_and_transport = bytes.get(addresses_at..)?;
        Some(Self { headers, ip, transport, payload, addresses_and_transport })
    }

    /// Length of the packet, bytes.
    pub(super) fn packet_len(&self) -> usize {
        self.headers.len() + self.payload.len()
    }

    /// The IPv4 ID where it carries meaning: packets that must not be fragmented need none (RFC 6864 section 4.1).
    pub(super) fn meaningful_id(&self) -> Option<u16> {
        match self.ip {
            IpHeader::V4(header) if header[6] & DONT_FRAGMENT == 0 => {
                Some(u16::from_be_bytes([header[4], header[5]]))
            }
            IpHeader::V4(_) | IpHeader::V6(_) => None,
        }
    }

    /// The TCP sequence number.
    pub(super) fn sequence(&self) -> Option<u32> {
        match self.transport {
            TransportHeader::Tcp { fixed: [_, _, _, _, s0, s1, s2, s3, ..], .. } => {
                Some(u32::from_be_bytes([*s0, *s1, *s2, *s3]))
            }
            TransportHeader::Udp(_) => None,
        }
    }

    /// Whether it has TCP's PSH.
    pub(super) fn has_push(&self) -> bool {
        matches!(self.transport, TransportHeader::Tcp { fixed, .. } if fixed[13] & tcp_flag::PSH != 0)
    }

    /// Whether everything that segmentation copies into each packet is the same in both: all of the headers except
    /// IPv4 ID, lengths, checksums, TCP sequence number and PSH.
    pub(super) fn has_headers_of(&self, other: &Candidate<'_>) -> bool {
        let same_ip = match (self.ip, other.ip) {
            // addresses; flags, TTL, protocol; version, header length, TOS with ECN
            (IpHeader::V4(a), IpHeader::V4(b)) => {
                a[12..] == b[12..] && a[6..10] == b[6..10] && a[0..2] == b[0..2]
            }
            // addresses; next header, hop limit; version, traffic class with ECN, flow label
            (IpHeader::V6(a), IpHeader::V6(b)) => {
                a[8..] == b[8..] && a[6..8] == b[6..8] && a[0..4] == b[0..4]
            }
            (IpHeader::V4(_), IpHeader::V6(_)) | (IpHeader::V6(_), IpHeader::V4(_)) => false,
        };
        same_ip
            && match (self.transport, other.transport) {
                // ports; ACK number, data offset; window; urgent pointer
                (
                    TransportHeader::Tcp { fixed: a, options: a_options },
                    TransportHeader::Tcp { fixed: b, options: b_options },
                ) => {
                    a[0..4] == b[0..4]
                        && a[8..13] == b[8..13]
                        && a[14..16] == b[14..16]
                        && a[18..] == b[18..]
                        && a_options == b_options
                }
                // ports
                (TransportHeader::Udp(a), TransportHeader::Udp(b)) => a[0..4] == b[0..4],
                (TransportHeader::Tcp { .. }, TransportHeader::Udp(_))
                | (TransportHeader::Udp(_), TransportHeader::Tcp { .. }) => false,
            }
    }

    /// Whether all checksums are correct: merging computes new ones, and would hide corruption.
    pub(super) fn has_right_checksums(&self) -> bool {
        let (protocol, ip_is_right) = match self.ip {
            IpHeader::V4(header) => (header[9], checksum::fold(checksum::sum(header)) == 0xFFFF),
            IpHeader::V6(header) => (header[6], true),
        };
        let transport_len = self.packet_len() - self.ip.len();
        let rest = u64::from(protocol) + transport_len as u64;
        ip_is_right && checksum::fold(checksum::sum(self.addresses_and_transport) + rest) == 0xFFFF
    }
}

impl IpHeader<'_> {
    /// Bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::V4(_) => IPV4_HEADER_LEN,
            Self::V6(_) => IPV6_HEADER_LEN,
        }
    }
}

/// An IPv4 header without options, of a packet that is not a fragment.
fn plain_ipv4(header: &[u8]) -> Option<&[u8; IPV4_HEADER_LEN]> {
    let header: &[u8; IPV4_HEADER_LEN] = header.try_into().ok()?;
    // neither a fragment nor the reserved bit
    let plain = header[6] & !DONT_FRAGMENT == 0 && header[7] == 0 && header[10..12] != NEVER_COMPUTED;
    plain.then_some(header)
}

/// A TCP header with no flag but ACK and PSH.
fn plain_tcp(header: &[u8]) -> Option<TransportHeader<'_>> {
    let (fixed, options) = header.split_first_chunk::<TCP_HEADER_LEN>()?;
    // the reserved bits and AE (once NS), then the others
    let plain =
        fixed[12] << 4 == 0 && fixed[13] & !tcp_flag::PSH == tcp_flag::ACK && fixed[16..18] != NEVER_COMPUTED;
    plain.then_some(TransportHeader::Tcp { fixed, options })
}

/// The header of a UDP datagram of `len` bytes, with a checksum.
fn plain_udp(header: &[u8], len: usize) -> Option<TransportHeader<'_>> {
    let header: &[u8; UDP_HEADER_LEN] = header.try_into().ok()?;
    let plain = usize::from(u16::from_be_bytes([header[4], header[5]])) == len
        // no checksum: it would get one (IPv4), or is not allowed (IPv6)
        && header[6..] != [0, 0];
    plain.then_some(TransportHeader::Udp(header))
}

// UDP datagrams that carry another tunnel must not become a super-packet. Whether or not the receiving kernel segments
// it before a tunnel device sees it, what it knows about checksums by then concerns the outer UDP, not the packets
// inside. Kernels before 6.8.5 dropped all that came to VXLAN and Geneve this way. Nothing is lost by not merging: what
// such a tunnel carries is mostly TCP, which is merged after decapsulation.
//
// Encrypted tunnels (WireGuard, IPsec, OpenVPN) are ordinary datagrams to the kernel and are merged.

/// Whether UDP on this port carries packets with checksums of their own. Either port counts, since answers may come
/// from the tunnel's port.
fn is_tunnel_port(port: u16) -> bool {
    matches!(
        port,
        1701            // L2TP (RFC 2661, RFC 3931)
        | 2152          // GTP-U (3GPP TS 29.281)
        | 3544          // Teredo (RFC 4380)
        | 4341          // LISP (RFC 9300)
        | 4754          // GRE in UDP (RFC 8086)
        | 4789 | 4790   // VXLAN (RFC 7348) and VXLAN-GPE
        | 4791          // RoCEv2: not a tunnel, but its own checksum covers the IPv4 ID
        | 5247          // CAPWAP data (RFC 5415)
        | 6080 | 6081   // GUE, Geneve (RFC 8926)
        | 6635          // MPLS in UDP (RFC 7510)
        | 8472 // VXLAN on the port that Linux used before one was assigned, and flannel still uses
    )
}
