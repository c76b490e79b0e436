//! The filter of inner source addresses.

use std::net::IpAddr;
use std::ops::Deref;

use crate::packet::IpPacket;

/// The inner source addresses that may come from the peer, as a set of prefixes.
///
/// IPv4-mapped IPv6 addresses are IPv6 addresses like any other.
#[derive(Clone, Debug)]
pub struct SourceFilter {
    ipv4: Ranges<u32>,
    ipv6: Ranges<u128>,
}

/// A prefix length longer than its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}/{length}: the prefix length may be at most {}", if address.is_ipv4() { 32 } else { 128 })]
pub struct ImpossiblePrefix {
    /// The address before it.
    pub address: IpAddr,
    /// The length, bits.
    pub length: u8,
}

impl SourceFilter {
    /// Host bits after a prefix are ignored. Without prefixes nothing is allowed.
    ///
    /// # Errors
    /// [`ImpossiblePrefix`] when a length exceeds 32 (IPv4) or 128 (IPv6).
    pub fn new(prefixes: &[(IpAddr, u8)]) -> Result<Self, ImpossiblePrefix> {
        let mut ipv4 = Vec::new();
        let mut ipv6 = Vec::new();
        for &(address, length) in prefixes {
            let impossible = || ImpossiblePrefix { address, length };
            match address {
                IpAddr::V4(address) => {
                    let host_bits = 32_u32.checked_sub(length.into()).ok_or_else(impossible)?;
                    let host_mask = u32::MAX.checked_shr(32 - host_bits).unwrap_or(0);
                    ipv4.push((address.to_bits() & !host_mask, address.to_bits() | host_mask));
                }
                IpAddr::V6(address) => {
                    let host_bits = 128_u32.checked_sub(length.into()).ok_or_else(impossible)?;
                    let host_mask = u128::MAX.checked_shr(128 - host_bits).unwrap_or(0);
                    ipv6.push((address.to_bits() & !host_mask, address.to_bits() | host_mask));
                }
            }
        }
        Ok(Self { ipv4: Ranges::new(ipv4), ipv6: Ranges::new(ipv6) })
    }

    /// Whether the source address of `packet` is in one of the prefixes.
    #[must_use]
    pub fn allows<Bytes: Deref<Target = [u8]>>(&self, packet: &IpPacket<Bytes>) -> bool {
        packet.source().is_some_and(|source| self.contains(source))
    }

    /// Whether `address` is in one of the prefixes.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.contains(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.contains(address.to_bits()),
        }
    }
}

/// First and last address of each prefix, in order and apart from each other.
#[derive(Clone, Debug)]
struct Ranges<Address>(Vec<(Address, Address)>);

impl<Address: Copy + Ord> Ranges<Address> {
    fn new(mut ranges: Vec<(Address, Address)>) -> Self {
        // Of two prefixes one contains the other or they have nothing in common. Sorted like this, one inside
        // another comes after it, with nothing between them that isn't inside it too.
        ranges.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
        ranges.dedup_by(|(_, last), (_, last_before)| last <= last_before);
        Self(ranges)
    }

    fn contains(&self, address: Address) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= address);
        self.0.get(..after).and_then(<[_]>::last).is_some_and(|&(_, last)| address <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(prefixes: &[&str]) -> SourceFilter {
        let prefixes: Vec<_> = prefixes
            .iter()
            .map(|prefix| {
                let (address, length) = prefix.split_once('/').unwrap();
                (address.parse().unwrap(), length.parse().unwrap())
            })
            .collect();
        SourceFilter::new(&prefixes).unwrap()
    }

    fn packet_from(source: IpAddr) -> Vec<u8> {
        match source {
            IpAddr::V4(source) => {
                let mut packet = vec![0; 20];
                packet[0] = 0x45;
                packet[3] = 20;
                packet[12..16].copy_from_slice(&source.octets());
                packet
            }
            IpAddr::V6(source) => {
                let mut packet = vec![0; 40];
                packet[0] = 0x60;
                packet[6] = 59; // nothing follows
                packet[8..24].copy_from_slice(&source.octets());
                packet
            }
        }
    }

    fn allows(filter: &SourceFilter, source: &str) -> bool {
        allows_address(filter, source.parse().unwrap())
    }

    fn allows_address(filter: &SourceFilter, source: IpAddr) -> bool {
        filter.allows(&IpPacket::parse(&packet_from(source)).unwrap())
    }

    #[test]
    fn a_prefix_allows_its_addresses_only() {
        let filter = filter(&["10.0.2.0/24", "2001:db8::/32"]);
        assert!(allows(&filter, "10.0.2.0"));
        assert!(allows(&filter, "10.0.2.255"));
        assert!(!allows(&filter, "10.0.1.255"));
        assert!(!allows(&filter, "10.0.3.0"));
        assert!(allows(&filter, "2001:db8::"));
        assert!(allows(&filter, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert!(!allows(&filter, "2001:db9::"));
        assert!(!allows(&filter, "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn host_bits_after_the_prefix_are_ignored() {
        let filter = filter(&["10.0.2.77/24", "fd00::1/8"]);
        assert!(allows(&filter, "10.0.2.1"));
        assert!(allows(&filter, "fdff::"));
        assert!(!allows(&filter, "fc00::"));
    }

    #[test]
    fn whole_families_and_single_addresses_are_prefixes_too() {
        let all = filter(&["1.2.3.4/0", "::1/0"]);
        assert!(allows(&all, "0.0.0.0") && allows(&all, "255.255.255.255"));
        assert!(allows(&all, "::") && allows(&all, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        let one = filter(&["10.0.2.1/32", "fd00::1/128"]);
        assert!(allows(&one, "10.0.2.1") && !allows(&one, "10.0.2.0") && !allows(&one, "10.0.2.2"));
        assert!(allows(&one, "fd00::1") && !allows(&one, "fd00::") && !allows(&one, "fd00::2"));
    }

    #[test]
    fn a_family_without_prefixes_is_not_allowed() {
        assert!(!allows(&filter(&["0.0.0.0/0"]), "fd00::1"));
        assert!(!allows(&filter(&["::/0"]), "10.0.0.1"));
        assert!(!allows(&filter(&[]), "10.0.0.1"));
    }

    #[test]
    fn a_mapped_address_is_not_the_ipv4_address() {
        assert!(!allows(&filter(&["10.0.0.0/8"]), "::ffff:10.0.0.1"));
        assert!(allows(&filter(&["::ffff:0.0.0.0/96"]), "::ffff:10.0.0.1"));
    }

    #[test]
    fn a_prefix_longer_than_the_address_is_refused() {
        let address = "10.0.0.0".parse().unwrap();
        let error = SourceFilter::new(&[(address, 33)]).unwrap_err();
        assert_eq!(error, ImpossiblePrefix { address, length: 33 });
        assert_eq!(error.to_string(), "10.0.0.0/33: the prefix length may be at most 32");
        assert!(SourceFilter::new(&[("fd00::".parse().unwrap(), 129)]).is_err());
        assert!(SourceFilter::new(&[(address, 255)]).is_err());
    }

    #[test]
    fn bytes_that_are_not_a_packet_are_not_allowed() {
        let all = filter(&["0.0.0.0/0", "::/0"]);
        for bytes in [&[][..], &[0x45; 15], &[0x60; 23], &[0x55; 60]] {
            assert!(!IpPacket::parse(bytes).is_ok_and(|packet| all.allows(&packet)));
        }
    }

    proptest! {
        /// Few different bits, so that prefixes nest and touch.
        #[test]
        fn the_answer_is_that_of_trying_each_prefix(
            prefixes in prop::collection::vec((0..16_u32, 26..=32_u8), 0..12),
            address in 0..64_u32,
        ) {
            let listed: Vec<_> =
                prefixes.iter().map(|&(bits, length)| (IpAddr::V4((bits << 2).into()), length)).collect();
            let expected = prefixes.iter().any(|&(bits, length)| {
                let shift = 32 - u32::from(length);
                (bits << 2) >> shift == address >> shift
            });
            let filter = SourceFilter::new(&listed).unwrap();
            prop_assert_eq!(allows_address(&filter, IpAddr::V4(address.into())), expected);
            let mapped: Vec<_> = prefixes
                .iter()
                .map(|&(bits, length)| (IpAddr::V6((u128::from(bits) << 2).into()), length + 96))
                .collect();
            let filter = SourceFilter::new(&mapped).unwrap();
            prop_assert_eq!(allows_address(&filter, IpAddr::V6(u128::from(address).into())), expected);
        }
    }
}
