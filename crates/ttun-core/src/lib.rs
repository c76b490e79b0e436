//! The tunnel: a Linux TUN device joined to a UDP socket, one IP packet in one datagram, nothing added.
//!
//! # The way of a packet
//!
//! **Out** ([`encap`]): one read of the device brings a virtio-net header and up to 64 KiB, often a whole
//! TCP super-packet. The headers of the packets it stands for are rebuilt in a small side buffer while the
//! payload stays where it was read, and one `sendmsg` with `UDP_SEGMENT` sends up to 64 of them.
//!
//! **In** ([`decap`]): one `recvmsg` with `UDP_GRO` brings up to 64 datagrams. Each is checked, neighbours
//! of one flow are joined, and one `writev` hands them to the device as a super-packet.
//!
//! Neither way allocates, locks, copies payload, or waits for the other. The pumps know the outside world
//! by the two traits of [`seam`] only, so that whole tunnels run in memory in tests.
//!
//! [`Tunnel`] owns the thread that runs the pumps; [`TunnelStats`] tells what became of every packet.

mod attachment;
mod backoff;
mod clock;
mod counters;
mod decap;
mod device;
mod encap;
mod endpoints;
mod error;
mod interface;
mod options;
mod probe;
mod problem;
mod pump;
mod pumps;
mod readiness;
mod seam;
mod shutdown;
mod socket;
mod stats;
mod system;
#[cfg(test)]
mod tests;
mod tunnel;
mod watch;

pub use counters::ERROR_NUMBERS;
pub use error::{Error, ErrorKind};
pub use options::{InterfaceOptions, MtuChoice, Offload, TunnelOptions};
pub use probe::{UdpOffload, probe_udp_offload};
pub use stats::{
    DecapDrop, DecapStats, DeviceStats, EncapDrop, EncapStats, Kind, OffloadStats, SocketStats, Stat,
    TunnelState, TunnelStats, Value, table,
};
pub use tunnel::{End, Tunnel};
pub use watch::{Direction, Watch, WatchOptions, Watched, WatchedPacket};
