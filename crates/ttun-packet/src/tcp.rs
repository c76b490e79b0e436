//! TCP header fields.
