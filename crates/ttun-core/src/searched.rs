//! The path MTU that a search has found. It may differ from what the kernel knows: a router may drop what is too big without reporting it,
//! and the kernel remembers a report for ten minutes, although the path may have become wider.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The result of a search, and what the packet path tells it.
#[derive(Default)]
pub(crate) struct SearchedMtu {
    /// 0, or the version of the peer (32 bits), the kernel's MTU at that time, and the result (16 bits each).
    result: AtomicU64,
    longest_sent: AtomicUsize,
}

impl SearchedMtu {
    /// Datagrams of up to `mtu` bytes reach the `peer`, while the MTU of the kernel's route is `kernel`.
    pub(crate) fn set(&self, peer: u32, kernel: usize, mtu: usize) {
        let result = u64::from(peer) << 32 | u64::from(capped(kernel)) << 16 | u64::from(capped(mtu));
        self.result.store(result, Ordering::Relaxed);
    }

    /// Nothing is known any more.
    pub(crate) fn clear(&self) {
        self.result.store(0, Ordering::Relaxed);
    }

    /// The MTU of the path to the `peer`, where the kernel's is `kernel`, bytes. A smaller one that the kernel has learned since the search
    /// counts.
    pub(crate) fn in_effect(&self, peer: u32, kernel: usize) -> usize {
        let result = self.result.load(Ordering::Relaxed);
        let (searched, at_that_time) = (usize::from(result as u16), usize::from((result >> 16) as u16));
        if result == 0 || (result >> 32) as u32 != peer {
            kernel
        } else if usize::from(capped(kernel)) < at_that_time {
            searched.min(kernel)
        } else {
            searched
        }
    }

    /// A packet of `len` bytes was sent.
    pub(crate) fn sent(&self, len: usize) {
        // Stored by one thread only, so nothing is lost in between.
        if len > self.longest_sent.load(Ordering::Relaxed) {
            self.longest_sent.store(len, Ordering::Relaxed);
        }
    }

    /// Length of the longest packet sent since this was last asked, bytes.
    pub(crate) fn take_longest_sent(&self) -> usize {
        self.longest_sent.swap(0, Ordering::Relaxed)
    }
}

fn capped(mtu: usize) -> u16 {
    u16::try_from(mtu).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_counts_until_the_kernel_learns_of_a_smaller_mtu() {
        let searched = SearchedMtu::default();
        assert_eq!(searched.in_effect(0, 1500), 1500);
        searched.set(0, 1500, 1400);
        assert_eq!(
            [1500, 9000, 1400, 1280].map(|kernel| searched.in_effect(0, kernel)),
            [1400, 1400, 1400, 1280]
        );
        searched.set(0, 1280, 1500);
        assert_eq!([1280, 1500, 1200].map(|kernel| searched.in_effect(0, kernel)), [1500, 1500, 1200]);
        searched.clear();
        assert_eq!(searched.in_effect(0, 1280), 1280);
    }

    #[test]
    fn a_result_counts_for_one_peer() {
        let searched = SearchedMtu::default();
        searched.set(7, 1500, 1400);
        assert_eq!([7, 8, 6].map(|peer| searched.in_effect(peer, 1500)), [1400, 1500, 1500]);
    }

    #[test]
    fn the_mtu_of_the_loopback_interface_is_no_reason_to_change_anything() {
        let searched = SearchedMtu::default();
        assert_eq!(searched.in_effect(0, 65_536), 65_536);
        searched.set(0, 65_536, 65_536);
        assert_eq!(searched.in_effect(0, 65_536), 65_535);
    }

    #[test]
    fn the_longest_packet_is_reported_once() {
        let searched = SearchedMtu::default();
        for len in [100, 1400, 60] {
            searched.sent(len);
        }
        assert_eq!([searched.take_longest_sent(), searched.take_longest_sent()], [1400, 0]);
    }
}
