//! The TCP header (RFC 9293 section 3.1).

pub(crate) const MIN_HEADER_LEN: usize = 20;
pub(crate) const MAX_HEADER_LEN: usize = 60;

/// Bits of byte 13. ECE (0x40) and CWR are those of RFC 3168.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const CWR: u8 = 0x80;
}

/// Offsets of fields, bytes from the start of the header.
pub(crate) mod field {
    pub(crate) const SEQUENCE: usize = 4;
    pub(crate) const DATA_OFFSET: usize = 12;
    pub(crate) const FLAGS: usize = 13;
    pub(crate) const CHECKSUM: usize = 16;
}

/// Kinds of options (section 3.2).
pub(crate) mod option {
    pub(crate) const END: u8 = 0;
    pub(crate) const NO_OPERATION: u8 = 1;
    pub(crate) const MSS: u8 = 2;
    /// Kind, length, and 16 bits.
    pub(crate) const MSS_LEN: u8 = 4;
}
