//! The system calls that no library wraps the way the packet path needs them.
//!
//! All `unsafe` of this crate stands in this folder, each block round one call.

pub(crate) mod datagram;
pub(crate) mod socket_option;
pub(crate) mod tun;
