//! One datagram from the network.

/// Why a datagram holds no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It has no bytes.
    Empty,
    /// It is no IPv4 or IPv6 packet, or it is not all there.
    Malformed,
}

/// The length of the packet that `datagram` holds, bytes.
///
/// # Errors
/// [`Invalid`] says what is wrong.
pub fn validate(datagram: &[u8]) -> Result<usize, Invalid> {
    if datagram.is_empty() { Err(Invalid::Empty) } else { Ok(datagram.len()) }
}
