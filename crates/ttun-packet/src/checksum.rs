//! The Internet checksum (RFC 1071), fast: each packet that is segmented or coalesced is summed once.
//!
//! Partial sums are `u64`s that count 16-bit big-endian words, so they can be added with `+` and folded once.

/// The partial sum of `bytes`, at most 0xFFFF; an odd last byte counts as if a zero followed it.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    // Words are added in host order, and the result is converted to big-endian (RFC 1071 section 2 (B)).
    let (words, tail) = bytes.as_chunks::<8>();
    let (tail_word, tail) = tail.split_first_chunk::<4>().unwrap_or((&[0; 4], tail));
    let last = match *tail {
        [a, b, c] => [a, b, c, 0],
        [a, b] => [a, b, 0, 0],
        [a] => [a, 0, 0, 0],
        _ => [0; 4],
    };
    let tail = u64::from(u32::from_ne_bytes(*tail_word)) + u64::from(u32::from_ne_bytes(last));
    u64::from(u16::from_be(fold(sum_words(words) + tail)))
}

/// The partial sum of eight-byte words in host order, at most 2^17.
fn sum_words(words: &[[u8; 8]]) -> u64 {
    // The sum is the same whether 16-bit words are added one by one or as parts of wider words (RFC 1071
    // section 2 (C)), so it is enough to sum the low and the high halves of 64-bit words. Splitting each word costs
    // more than this: add the whole words, dropping the carries out of the top, and separately the
    // high halves. The true sums of the halves fit in 64 bits, so the low one follows from
    //   whole = low + (high << 32)  (mod 2^64)
    // The loop is kept to two plain reductions, the form that LLVM vectorises.
    let mut whole = 0_u64;
    let mut high = 0_u64;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        whole = whole.wrapping_add(word);
        high = high.wrapping_add(word >> 32);
    }
    let low = whole.wrapping_sub(high << 32);
    u64::from(fold(low)) + u64::from(fold(high))
}

/// A partial sum as 16 bits, the carries added back in.
///
/// The result is 0 only for a sum of zeros: of the two one's complement zeros it is otherwise 0xFFFF.
pub(crate) fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xFFFF_FFFF); // at most 33 bits
    let sum = (sum >> 16) + (sum & 0xFFFF); // at most 18 bits
    let sum = (sum >> 16) + (sum & 0xFFFF); // at most 17 bits
    ((sum >> 16) + (sum & 0xFFFF)) as u16
}

/// The checksum that completes `sum`, for TCP and the IPv4 header.
pub(crate) fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The checksum that completes `sum`, for UDP: a computed zero is sent in its other form,
/// because zero means "no checksum" (RFC 768).
pub(crate) fn finish_udp(sum: u64) -> u16 {
    match finish(sum) {
        0 => 0xFFFF,
        checksum => checksum,
    }
}

/// `checksum` after the word `old` was replaced by `new`: HC' = ~(~HC + ~m + m') (RFC 1624 section 3).
pub(crate) fn adjusted(checksum: u16, [old, new]: [u16; 2]) -> u16 {
    finish(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 word by word, each carry added back at once.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u16;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            let (added, carry) = sum.overflowing_add(word);
            sum = added + u16::from(carry);
        }
        sum
    }

    fn agrees(bytes: &[u8]) {
        assert_eq!(fold(sum(bytes)), naive(bytes), "{} bytes", bytes.len());
    }

    #[test]
    fn every_short_length_at_every_alignment_agrees_with_the_naive_sum() {
        let bytes: Vec<u8> = (0..300_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for start in 0..16 {
            for len in 0..=200 {
                agrees(&bytes[start..start + len]);
            }
        }
    }

    #[test]
    fn the_largest_packet_of_the_largest_words_does_not_overflow() {
        agrees(&vec![0xFF; 65_535]);
        agrees(&vec![0xFF; 65_534]);
        agrees(&vec![0x00; 65_535]);
    }

    #[test]
    fn folding_adds_back_every_carry() {
        assert_eq!(fold(0), 0);
        assert_eq!(fold(0xFFFF), 0xFFFF);
        assert_eq!(fold(0x1_0000), 1);
        assert_eq!(fold(0x1_FFFE), 0xFFFF);
        assert_eq!(fold(u64::MAX), 0xFFFF);
        assert_eq!(fold(0xFFFF_FFFF_0000_0000), 0xFFFF);
    }

    #[test]
    fn a_checksum_of_zero_is_mangled_for_udp_only() {
        assert_eq!(finish(0xFFFF), 0);
        assert_eq!(finish_udp(0xFFFF), 0xFFFF);
        assert_eq!(finish(0x1234), !0x1234);
        assert_eq!(finish_udp(0x1234), !0x1234);
    }

    proptest! {
        #[test]
        fn random_bytes_agree_with_the_naive_sum(bytes in prop::collection::vec(any::<u8>(), 0..2000), start in 0..64_usize) {
            agrees(bytes.get(start..).unwrap_or(&[]));
        }

        #[test]
        fn folding_is_the_remainder_of_a_division(value: u64) {
            let remainder = (value % 0xFFFF) as u16;
            prop_assert_eq!(fold(value), if value != 0 && remainder == 0 { 0xFFFF } else { remainder });
        }
    }
}
