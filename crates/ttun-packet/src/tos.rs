//! The TOS octet of IPv4, which IPv6 calls traffic class: DSCP (RFC 2474) in the upper six bits, ECN (RFC 3168) in the lower two;
//! and how the one of the datagram and the one of the packet in it depend on each other (RFC 6040, RFC 2983).

use std::ops::Deref;

use crate::checksum;
use crate::packet::{IpPacket, Version};

/// The ECN field (RFC 3168 section 5).
mod ecn {
    pub(super) const MASK: u8 = 0b11;
    pub(super) const NOT_ECT: u8 = 0b00;
    pub(super) const ECT_1: u8 = 0b01;
    pub(super) const CE: u8 = 0b11;
}

/// The DSCP of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dscp {
    /// That of the packet inside.
    Inherit,
    /// This one, 0 to 63.
    Fixed(u8),
}

/// How the TOS octet of a datagram follows from that of the packet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterTos {
    /// The bits that are copied.
    copied: u8,
    /// The others.
    fixed: u8,
}

impl OuterTos {
    /// With `ecn`, the ECN field is copied (RFC 6040 section 4.1, normal mode); otherwise datagrams do not support ECN
    /// (compatibility mode).
    #[must_use]
    pub const fn new(dscp: Dscp, ecn: bool) -> Self {
        let ecn = if ecn { ecn::MASK } else { 0 };
        match dscp {
            Dscp::Inherit => Self { copied: !ecn::MASK | ecn, fixed: 0 },
            Dscp::Fixed(dscp) => Self { copied: ecn, fixed: dscp << 2 },
        }
    }

    /// The octet of the datagram that carries a packet with the octet `inner`.
    #[must_use]
    #[inline]
    pub const fn of(self, inner: u8) -> u8 {
        inner & self.copied | self.fixed
    }

    /// The octet of datagrams from which nothing is copied: the most frequent one if there is any other.
    #[must_use]
    pub const fn base(self) -> u8 {
        self.fixed
    }
}

/// What the ECN field of a datagram means for the packet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnArrival {
    /// Nothing that could be seen as congestion: the packet is the same, or its sender's ECT(0) has become ECT(1).
    Quiet,
    /// A router has marked the datagram as one that met congestion (CE); the packet now has this mark.
    Marked,
    /// A router has marked the datagram, but the sender of the packet would not understand the mark: the packet must be dropped, as
    /// the router should have done.
    Illegal,
}

/// Gives `packet` the ECN field that it must have after a datagram with the octet `outer` has brought it (RFC 6040 section 4.2,
/// figure 4). Its DSCP stays (RFC 2983 section 4.1, pipe model).
#[inline]
pub fn receive_ecn(packet: &mut IpPacket<&mut [u8]>, outer: u8) -> EcnArrival {
    if outer & ecn::MASK == ecn::NOT_ECT {
        return EcnArrival::Quiet;
    }
    let tos = packet.tos();
    match (tos & ecn::MASK, outer & ecn::MASK) {
        (ecn::NOT_ECT, ecn::CE) => EcnArrival::Illegal,
        (ecn::NOT_ECT | ecn::CE, _) => EcnArrival::Quiet,
        (_, ecn::CE) => {
            packet.set_tos(with_congestion(tos));
            EcnArrival::Marked
        }
        (_, ecn::ECT_1) => {
            packet.set_tos(tos & !ecn::MASK | ecn::ECT_1);
            EcnArrival::Quiet
        }
        _ => EcnArrival::Quiet,
    }
}

/// Whether the sender of a packet with this octet understands marks of congestion, so that one can be set in place of dropping it. One
/// that is marked already counts too: it need not be dropped.
#[must_use]
pub const fn is_ecn_capable(tos: u8) -> bool {
    tos & ecn::MASK != ecn::NOT_ECT
}

/// The octet with the mark of congestion.
#[must_use]
pub const fn with_congestion(tos: u8) -> u8 {
    tos | ecn::CE
}

/// Marks a packet of an ECN-capable sender as one that met congestion.
pub fn mark_congestion(packet: &mut IpPacket<&mut [u8]>) {
    packet.set_tos(with_congestion(packet.tos()));
}

impl<Bytes: Deref<Target = [u8]>> IpPacket<Bytes> {
    /// The TOS octet, or traffic class.
    #[must_use]
    #[inline]
    pub fn tos(&self) -> u8 {
        let [first, second] = self.field(0).unwrap_or_default();
        match self.version() {
            Version::V4 => second,
            Version::V6 => first << 4 | second >> 4,
        }
    }
}

impl IpPacket<&mut [u8]> {
    /// The checksum of an IPv4 header is adjusted, so a wrong one stays wrong; IPv6 has none, and no transport checksum covers the
    /// octet.
    fn set_tos(&mut self, tos: u8) {
        let version = self.version();
        let Some(header) = self.bytes_mut().first_chunk_mut::<12>() else { return };
        match version {
            Version::V4 => {
                let old = u16::from_be_bytes([header[0], header[1]]);
                header[1] = tos;
                let new = u16::from_be_bytes([header[0], header[1]]);
                let adjusted = checksum::adjusted(u16::from_be_bytes([header[10], header[11]]), [old, new]);
                [header[10], header[11]] = adjusted.to_be_bytes();
            }
            Version::V6 => {
                header[0] = header[0] & 0xF0 | tos >> 4;
                header[1] = tos << 4 | header[1] & 0x0F;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];

    /// RFC 6040, figure 4: inner ECN field, then what becomes of it with an outer Not-ECT, ECT(0), ECT(1) and CE.
    const FIGURE_4: [(&str, [&str; 4]); 4] = [
        ("Not-ECT", ["Not-ECT", "Not-ECT", "Not-ECT", "drop"]),
        ("ECT(0)", ["ECT(0)", "ECT(0)", "ECT(1)", "CE"]),
        ("ECT(1)", ["ECT(1)", "ECT(1)", "ECT(1)", "CE"]),
        ("CE", ["CE", "CE", "CE", "CE"]),
    ];

    fn field(name: &str) -> u8 {
        NAMES.iter().position(|other| *other == name).unwrap() as u8
    }

    /// A packet of `version` with a payload, and a checksum that is off by `error`.
    fn packet(version: Version, tos: u8, error: u16) -> Vec<u8> {
        match version {
            Version::V4 => {
                let mut packet = vec![0x45, tos, 0, 24, 0xAB, 0xCD, 0x40, 0, 64, 132, 0, 0];
                packet.extend([10, 0, 2, 1, 10, 0, 2, 2, 1, 2, 3, 4]);
                let sum = checksum::finish(checksum::sum(&packet[..20])) ^ error;
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
                packet
            }
            Version::V6 => {
                let mut packet = vec![0x60 | tos >> 4, tos << 4 | 0x0A, 0xBC, 0xDE, 0, 4, 132, 64];
                packet.extend([0xFD; 32]);
                packet.extend([1, 2, 3, 4]);
                packet
            }
        }
    }

    #[test]
    fn every_cell_of_the_table_holds_for_every_dscp_and_both_families() {
        for version in [Version::V4, Version::V6] {
            for ((inner, row), dscp) in
                FIGURE_4.into_iter().flat_map(|row| (0..64).map(move |dscp| (row, dscp)))
            {
                for (outer, expected) in ["Not-ECT", "ECT(0)", "ECT(1)", "CE"].into_iter().zip(row) {
                    // The outer DSCP means nothing.
                    for outer_dscp in [0, 46, 63] {
                        let cell = format!("{version:?}, DSCP {dscp}: {inner} in {outer}");
                        let mut bytes = packet(version, dscp << 2 | field(inner), 0);
                        let mut view = IpPacket::parse_mut(&mut bytes).unwrap();
                        let arrival = receive_ecn(&mut view, outer_dscp << 2 | field(outer));
                        let tos = view.tos();
                        if expected == "drop" {
                            assert_eq!(arrival, EcnArrival::Illegal, "{cell}");
                            continue;
                        }
                        let marked = inner != "CE" && expected == "CE";
                        let what = if marked { EcnArrival::Marked } else { EcnArrival::Quiet };
                        assert_eq!((arrival, tos), (what, dscp << 2 | field(expected)), "{cell}");
                        // Nothing else has changed, and the checksum is right.
                        assert_eq!(bytes, packet(version, tos, 0), "{cell}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_header_checksum_stays_wrong() {
        let mut bytes = packet(Version::V4, field("ECT(0)"), 0x0100);
        receive_ecn(&mut IpPacket::parse_mut(&mut bytes).unwrap(), field("CE"));
        assert_eq!(bytes[1], field("CE"));
        assert_ne!(checksum::fold(checksum::sum(&bytes[..20])), 0xFFFF);
    }

    #[test]
    fn the_checksum_is_right_whatever_it_was() {
        for id in 0..=u16::MAX {
            let mut bytes = packet(Version::V4, field("ECT(1)"), 0);
            bytes[4..6].copy_from_slice(&id.to_be_bytes());
            bytes[10..12].fill(0);
            let sum = checksum::finish(checksum::sum(&bytes[..20]));
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            receive_ecn(&mut IpPacket::parse_mut(&mut bytes).unwrap(), field("CE"));
            let adjusted = [bytes[10], bytes[11]];
            bytes[10..12].fill(0);
            // Of two forms of zero, the one that a computation gives.
            assert_eq!(adjusted, checksum::finish(checksum::sum(&bytes[..20])).to_be_bytes(), "ID {id}");
        }
    }

    #[test]
    fn a_datagram_has_the_dscp_and_the_ecn_field_that_are_asked_for() {
        let ef = 46;
        for inner in 0..=u8::MAX {
            assert_eq!(OuterTos::new(Dscp::Fixed(0), false).of(inner), 0);
            assert_eq!(OuterTos::new(Dscp::Fixed(0), true).of(inner), inner & 0b11);
            assert_eq!(OuterTos::new(Dscp::Fixed(ef), false).of(inner), 0xB8);
            assert_eq!(OuterTos::new(Dscp::Fixed(ef), true).of(inner), 0xB8 | inner & 0b11);
            assert_eq!(OuterTos::new(Dscp::Inherit, false).of(inner), inner & 0xFC);
            assert_eq!(OuterTos::new(Dscp::Inherit, true).of(inner), inner);
        }
    }

    #[test]
    fn the_octet_is_read_from_both_families() {
        for version in [Version::V4, Version::V6] {
            for tos in 0..=u8::MAX {
                assert_eq!(IpPacket::parse(&packet(version, tos, 0)).unwrap().tos(), tos);
            }
        }
    }
}
