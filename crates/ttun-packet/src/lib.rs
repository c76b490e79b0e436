//! Packet arithmetic of ttun: everything that reads or rewrites the bytes of IP packets, without I/O.
//!
//! A packet from either side is parsed once, into an [`IpPacket`]; everything else takes this view. From the device
//! come a virtio-net header and a packet of up to 64 KiB: [`Segments`] determines which MTU-sized packets it represents and
//! rebuilds their headers, while the payload stays where it was read. From the network come datagrams of one packet
//! each: [`Run`] coalesces neighbours of one flow into one large packet for the device, again without touching the
//! payload.
//!
//! Nothing here allocates per packet, and no input causes a panic.

#![forbid(unsafe_code)]

mod checksum;
mod clamp;
mod coalesce;
mod echo;
mod filter;
mod flow;
mod loop_guard;
mod packet;
mod segment;
mod too_big;
mod tos;
mod virtio;

pub use clamp::{OUTER_OVERHEAD_IPV4, OUTER_OVERHEAD_IPV6, clamp_mss, outer_overhead};
pub use coalesce::{CoalesceOptions, Run};
pub use echo::{ECHO_COOKIE_LEN, EchoReply, EchoRequest, IcmpFragments};
pub use filter::{ImpossiblePrefix, SourceFilter};
pub use flow::Flow;
pub use loop_guard::{LoopGuard, Verdict};
pub use packet::{Fragment, Invalid, IpPacket, Transport, Version};
pub use segment::{MAX_SEGMENT_HEADER_LEN, Segments};
pub use too_big::{MAX_TOO_BIG_LEN, TooBig, must_not_be_fragmented};
pub use tos::{Dscp, EcnArrival, OuterTos, is_ecn_capable, mark_congestion, receive_ecn, with_congestion};
pub use virtio::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};
