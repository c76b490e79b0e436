//! Copies of passing packets for those who watch: a bounded ring for each, which exists only while it is watched.

mod post;
mod ring;

use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind};

pub(crate) use post::WatchPost;

use post::MAX_WATCHES;

/// How much of the traffic to copy.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// Bytes kept of each packet.
    pub snap_length: usize,
    /// Packets kept until they are taken; those that come while there are so many are left out. Memory is used as packets come, and
    /// never more than for `capacity` packets of `snap_length` bytes, nor for about 16 MiB of copies.
    pub capacity: usize,
    /// Packets copied in any one second at most, both directions together; `None` copies all.
    pub packets_per_second: Option<u32>,
    /// Only packets that pass this way; `None` copies both.
    pub direction: Option<Direction>,
}

/// Which way a packet passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the peer.
    Outbound,
    /// From the peer to the device.
    Inbound,
}

/// A copy of the beginning of a packet.
#[derive(Clone, Debug)]
pub struct WatchedPacket {
    /// Which way it passed.
    pub direction: Direction,
    /// When it was copied.
    pub at: SystemTime,
    /// Length of the whole packet, bytes.
    pub len: usize,
    /// Its first bytes.
    pub data: Vec<u8>,
}

/// What was copied since the last time it was taken.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The packets of both directions, in the order in which they passed.
    pub packets: Vec<WatchedPacket>,
    /// How many passed without being copied, of those that were asked for.
    pub left_out: u64,
}

/// Somebody watches. Dropping it ends that.
pub struct Watch {
    post: Arc<WatchPost>,
    slot: usize,
}

impl Watch {
    /// Starts watching through `post`, beside who watches already; `wake` is called from the packet path, once for each
    /// time that there is something to take again, and must not block.
    pub(crate) fn start(
        post: Arc<WatchPost>,
        options: WatchOptions,
        wake: Box<dyn Fn() + Send>,
    ) -> Result<Self, Error> {
        let slot = post.occupy(options, wake).ok_or_else(too_many)?;
        Ok(Self { post, slot })
    }

    /// Takes what was copied.
    #[must_use]
    pub fn take(&self) -> Watched {
        self.post.take(self.slot)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.post.vacate(self.slot);
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::TooManyWatches,
        format!("{MAX_WATCHES} watch the packets of this tunnel already, and more are not served"),
    )
    .with_hint("end one of them, for example a capture of this tunnel that is still running")
}
