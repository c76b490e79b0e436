//! One datagram from the network: is it a packet, and how long?

use crate::ip;

/// Why a datagram holds no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It has no bytes.
    Empty,
    /// It is no IPv4 or IPv6 packet, or not all of the packet is there.
    Malformed,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "empty datagram",
            Self::Malformed => "datagram is not an IP packet",
        })
    }
}

impl std::error::Error for Invalid {}

/// The length of the packet that `datagram` holds, bytes. What follows it is not part of it, as for an IP
/// receiver (RFC 1122 section 3.2.1): cut it off.
///
/// # Errors
/// [`Invalid::Empty`] without bytes. [`Invalid::Malformed`] when the version is neither 4 nor 6, the header is
/// not all there or shorter than it may be, or the length it tells is shorter than itself or longer than the datagram.
pub fn validate(datagram: &[u8]) -> Result<usize, Invalid> {
    if datagram.is_empty() {
        return Err(Invalid::Empty);
    }
    ip::packet_len(datagram).ok_or(Invalid::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ipv4(header_words: u8, total_len: u16, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = 0x40 | header_words;
        bytes[2..4].copy_from_slice(&total_len.to_be_bytes());
        bytes
    }

    fn ipv6(next_header: u8, payload_len: u16, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
        bytes[6] = next_header;
        bytes
    }

    #[test]
    fn a_datagram_without_bytes_is_empty() {
        assert_eq!(validate(&[]), Err(Invalid::Empty));
    }

    #[test]
    fn a_whole_ipv4_packet_has_its_total_length() {
        assert_eq!(validate(&ipv4(5, 20, 20)), Ok(20));
        assert_eq!(validate(&ipv4(15, 60, 60)), Ok(60));
        assert_eq!(validate(&ipv4(5, 65_507, 65_507)), Ok(65_507));
    }

    #[test]
    fn trailing_bytes_are_not_part_of_the_packet() {
        assert_eq!(validate(&ipv4(5, 28, 60)), Ok(28));
        assert_eq!(validate(&ipv6(17, 8, 60)), Ok(48));
    }

    #[test]
    fn an_ipv4_header_shorter_than_five_words_is_malformed() {
        for words in 0..5 {
            assert_eq!(validate(&ipv4(words, 20, 20)), Err(Invalid::Malformed));
        }
    }

    #[test]
    fn an_ipv4_header_longer_than_the_packet_is_malformed() {
        assert_eq!(validate(&ipv4(6, 20, 60)), Err(Invalid::Malformed));
        assert_eq!(validate(&ipv4(15, 40, 40)), Err(Invalid::Malformed));
    }

    #[test]
    fn an_ipv4_total_length_of_zero_or_past_the_end_is_malformed() {
        assert_eq!(validate(&ipv4(5, 0, 20)), Err(Invalid::Malformed));
        assert_eq!(validate(&ipv4(5, 19, 20)), Err(Invalid::Malformed));
        assert_eq!(validate(&ipv4(5, 21, 20)), Err(Invalid::Malformed));
    }

    #[test]
    fn an_ipv6_payload_past_the_end_is_malformed() {
        assert_eq!(validate(&ipv6(17, 9, 48)), Err(Invalid::Malformed));
        assert_eq!(validate(&ipv6(17, 8, 48)), Ok(48));
    }

    #[test]
    fn an_ipv6_packet_without_payload_is_whole() {
        assert_eq!(validate(&ipv6(59, 0, 40)), Ok(40));
        assert_eq!(validate(&ipv6(59, 0, 99)), Ok(40));
    }

    #[test]
    fn an_ipv6_jumbogram_is_malformed() {
        let mut jumbo = ipv6(0, 0, 48);
        jumbo[40..48].copy_from_slice(&[59, 0, 0xC2, 4, 0, 1, 0, 0]);
        assert_eq!(validate(&jumbo), Err(Invalid::Malformed));
    }

    #[test]
    fn every_other_version_is_malformed() {
        for version in (0..16).filter(|version| ![4, 6].contains(version)) {
            assert_eq!(validate(&[version << 4 | 5; 100]), Err(Invalid::Malformed), "version {version}");
        }
    }

    #[test]
    fn a_header_that_is_not_all_there_is_malformed() {
        for len in 1..20 {
            assert_eq!(validate(&ipv4(5, 20, 20)[..len]), Err(Invalid::Malformed));
        }
        for len in 1..40 {
            assert_eq!(validate(&ipv6(59, 0, 40)[..len]), Err(Invalid::Malformed));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_error_or_a_length_within_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(len) = validate(&bytes) {
                prop_assert!((20..=bytes.len()).contains(&len));
                prop_assert_eq!(validate(&bytes[..len]), Ok(len));
                prop_assert_eq!(validate(&bytes[..len - 1]), Err(Invalid::Malformed));
            }
        }
    }
}
