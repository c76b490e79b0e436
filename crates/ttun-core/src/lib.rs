//! The tunnel: a Linux TUN device joined to a UDP socket, one IP packet in one datagram, nothing added.
//!
//! # How a packet travels
//!
//! **Out** ([`encap`]): one read of the device brings a virtio-net header and up to 64 KiB, often a whole
//! TCP super-packet. The headers of the packets in it are rebuilt in a small side buffer while the
//! payload stays where it was read, and one `sendmsg` with `UDP_SEGMENT` sends a [`batch`] of up to 64 of them.
//!
//! **In** ([`decap`]): one `recvmsg` with `UDP_GRO` brings up to 64 datagrams. Each is checked, neighbours
//! of one flow are coalesced, and one `writev` passes them to the device as a super-packet.
//!
//! Neither direction allocates, locks, copies payload, or waits for the other. The pumps access the outside world
//! only through the two traits of [`io`], so that whole tunnels run in memory in tests.
//!
//! [`Tunnel`] owns the thread that runs the pumps; [`TunnelStats`] counts every packet, sent or dropped.

mod admission;
mod allowance;
mod answer;
mod attach;
mod backlog;
mod batch;
mod bind;
mod busy_poll;
mod clock;
mod connection;
mod decap;
mod device;
mod device_queue;
mod diagnosis;
mod encap;
mod endpoints;
mod error;
mod flow_label;
mod fragmentation;
mod heard;
mod history;
mod interface;
mod io;
mod learn;
mod listen;
mod listener;
mod lock;
mod measure;
mod message;
mod monitor;
mod mss;
mod options;
mod outflow;
mod path_mtu;
mod path_search;
mod probe;
mod prober;
mod pump;
mod queue;
mod reattach;
mod recovery;
mod refusal;
mod report;
mod running;
mod searched;
mod send;
mod shared;
mod socket;
mod stats;
mod tap;
#[cfg(test)]
mod tests;
mod timer;
mod trial;
mod tunnel;
mod udp_offload;
mod upkeep;
mod watcher;

pub use error::{Error, ErrorKind};
pub use history::{Change, ChangeKind, Level};
pub use listen::{Arrival, arrivals};
pub use measure::SeriesEcho;
pub use options::{
    Endpoint, InterfaceOptions, MtuChoice, Offload, PathMtuChoice, ProbeOptions, QueueOptions, Remote,
    TunnelOptions,
};
pub use probe::{Echo, EchoAnswer, EchoDatagram, EchoOutcome};
pub use report::{Advice, grouped};
pub use running::End;
pub use stats::{
    DecapDrop, DecapStats, DeviceStats, ERROR_NUMBERS, EncapDrop, EncapStats, Kind, OffloadStats,
    PROBE_BOUNDS_NS, ProbeStats, QueueStats, RttStats, SocketStats, Stat, TunnelState, TunnelStats, Value,
    table,
};
pub use tap::{Direction, PacketTap, TapOptions, Tapped, TappedPacket};
pub use ttun_packet::Dscp;
pub use tunnel::Tunnel;
pub use udp_offload::{UdpOffload, probe_udp_offload};
pub use watcher::{NetworkWatch, watch_network};
