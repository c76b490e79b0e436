//! Lowers the MSS option of TCP SYNs.

/// Whether `packet` is a TCP SYN or SYN-ACK.
#[must_use]
pub fn is_tcp_syn(_packet: &[u8]) -> bool {
    false
}

/// Lowers the MSS option; returns whether it changed.
pub fn clamp_mss(_packet: &mut [u8], _inner_mtu: usize) -> bool {
    false
}
