//! Packet arithmetic of ttun: everything that reads or rewrites the bytes of IP packets, without I/O.
//!
//! Out of the device comes a virtio-net header and a packet of up to 64 KiB. [`Segments`] tells which
//! MTU-sized packets it stands for and rebuilds their headers; the payload stays where it was read.
//! Out of the network come datagrams. [`validate`] finds the packet in each, and [`Run`] joins
//! neighbours of one flow into one large packet for the device, again without touching the payload.
//!
//! Nothing here allocates per packet, and no input makes it panic.

#![forbid(unsafe_code)]

mod bytes;
mod checksum;
mod clamp;
mod coalesce;
mod ip;
mod overhead;
mod routing_loop;
mod segment;
mod source;
mod tcp;
mod udp;
mod validate;
mod virtio;

pub use clamp::{clamp_mss, is_tcp_syn};
pub use coalesce::{CoalesceOptions, Run};
pub use overhead::{OUTER_OVERHEAD_IPV4, OUTER_OVERHEAD_IPV6, outer_overhead};
pub use routing_loop::is_routing_loop;
pub use segment::{MAX_SEGMENT_HEADER_LEN, Malformed, Segments};
pub use source::{ImpossiblePrefix, SourceFilter};
pub use validate::{Invalid, validate};
pub use virtio::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};
