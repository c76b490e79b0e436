//! Copies of passing packets, as data.

use std::time::UNIX_EPOCH;

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use ttun_core::{Direction, TapOptions, Tapped};

use crate::stats::number;

/// How much of the traffic to copy.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingWatchOptions {
    /// Bytes kept of each packet.
    pub snap_length: u32,
    /// Packets kept until they are taken.
    pub capacity: u32,
    /// Packets copied in any one second at most; null copies all.
    pub packets_per_second: Option<u32>,
    /// True copies only packets from the device, false only those from the network; null both.
    pub outbound: Option<bool>,
}

impl From<BindingWatchOptions> for TapOptions {
    fn from(options: BindingWatchOptions) -> Self {
        Self {
            snap_length: options.snap_length as usize,
            capacity: options.capacity as usize,
            packets_per_second: options.packets_per_second,
            direction: options
                .outbound
                .map(|outbound| if outbound { Direction::Outbound } else { Direction::Inbound }),
        }
    }
}

/// What was copied since the last time.
#[napi(object, object_from_js = false)]
pub struct BindingWatched {
    /// The packets, oldest first.
    pub packets: Vec<BindingPacket>,
    /// How many passed without being copied.
    pub left_out: f64,
}

/// The beginning of a packet.
#[napi(object, object_from_js = false)]
pub struct BindingPacket {
    /// True from the device to the peer, false the other way.
    pub outbound: bool,
    /// When it passed, ms since the epoch, with fraction.
    pub at: f64,
    /// Length of the whole packet, bytes.
    pub length: u32,
    /// Its first bytes.
    pub data: Buffer,
}

impl From<Tapped> for BindingWatched {
    fn from(watched: Tapped) -> Self {
        let packets = watched.packets.into_iter().map(|packet| BindingPacket {
            outbound: packet.direction == Direction::Outbound,
            at: packet.at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3),
            length: packet.len as u32,
            data: packet.data.into(),
        });
        Self { packets: packets.collect(), left_out: number(watched.left_out) }
    }
}
