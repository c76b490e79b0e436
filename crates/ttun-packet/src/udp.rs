//! The UDP header (RFC 768).

pub(crate) const HEADER_LEN: usize = 8;

/// Offsets of fields, bytes from the start of the header.
pub(crate) mod field {
    pub(crate) const DESTINATION_PORT: usize = 2;
    pub(crate) const LENGTH: usize = 4;
    pub(crate) const CHECKSUM: usize = 6;
}
