//! What the tunnel adds to each packet on the outside.

use std::net::SocketAddr;

/// Bytes added to each packet by outer IPv4 (20) and UDP (8).
pub const OUTER_OVERHEAD_IPV4: usize = 28;

/// Bytes added to each packet by outer IPv6 (40) and UDP (8).
pub const OUTER_OVERHEAD_IPV6: usize = 48;

/// Bytes added to each packet on the way to `remote`.
///
/// An IPv4-mapped IPv6 address counts as IPv4, for that is what the kernel sends.
#[must_use]
pub const fn outer_overhead(remote: &SocketAddr) -> usize {
    match remote {
        SocketAddr::V4(_) => OUTER_OVERHEAD_IPV4,
        SocketAddr::V6(address) if address.ip().to_ipv4_mapped().is_some() => OUTER_OVERHEAD_IPV4,
        SocketAddr::V6(_) => OUTER_OVERHEAD_IPV6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_headers_are_counted_by_the_family_on_the_wire() {
        assert_eq!(outer_overhead(&"192.0.2.1:8000".parse().unwrap()), 28);
        assert_eq!(outer_overhead(&"[2001:db8::1]:8000".parse().unwrap()), 48);
        assert_eq!(outer_overhead(&"[::ffff:192.0.2.1]:8000".parse().unwrap()), 28);
    }
}
