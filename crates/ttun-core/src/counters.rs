//! What became of every packet. Each pump is the only writer of its counters; anyone may read them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a packet read from the device was not sent to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncapDrop {
    /// No route, no such neighbour, or the peer refuses (`ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH`, …).
    PeerUnreachable,
    /// Longer than a datagram can be, or than the route lets through without fragments.
    TooBig,
    /// The kernel had no memory or queue for it (`ENOBUFS`, `ENOMEM`).
    NoBufferSpace,
    /// The send failed in another way: `EPERM` from a firewall, a vanished local address, …
    SendError,
    /// It was one of this tunnel's own datagrams, routed back into the tunnel.
    RoutingLoop,
    /// Neither IPv4 nor IPv6, or its lengths contradict each other.
    Malformed,
    /// Read, but the tunnel was closed before it could be sent.
    Closed,
}

impl EncapDrop {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 7] = [
        Self::PeerUnreachable,
        Self::TooBig,
        Self::NoBufferSpace,
        Self::SendError,
        Self::RoutingLoop,
        Self::Malformed,
        Self::Closed,
    ];

    /// The name under which users know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerUnreachable => "peer-unreachable",
            Self::TooBig => "too-big",
            Self::NoBufferSpace => "no-buffer-space",
            Self::SendError => "send-error",
            Self::RoutingLoop => "routing-loop",
            Self::Malformed => "malformed",
            Self::Closed => "closed",
        }
    }
}

/// Why a datagram from the peer was not handed to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecapDrop {
    /// Neither IPv4 nor IPv6, or its lengths contradict each other.
    Malformed,
    /// A datagram without a payload.
    Empty,
    /// Longer than the receive buffer.
    Truncated,
    /// The inner source address is not one that is accepted from the peer.
    SourceNotAllowed,
    /// The device is down (`EIO`).
    DeviceDown,
    /// The device refused the packet for another reason.
    DeviceError,
    /// Received, but the tunnel was closed before it could be written.
    Closed,
}

impl DecapDrop {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Empty,
        Self::Truncated,
        Self::SourceNotAllowed,
        Self::DeviceDown,
        Self::DeviceError,
        Self::Closed,
    ];

    /// The name under which users know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::SourceNotAllowed => "source-not-allowed",
            Self::DeviceDown => "device-down",
            Self::DeviceError => "device-error",
            Self::Closed => "closed",
        }
    }
}

/// A counter with one writer at a time: adding is a plain load and store.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: usize) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount as u64), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Device to network. Aligned so that the two pumps' counters never share a cache line
/// (128 bytes: x86 fetches lines in pairs).
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct EncapCounters {
    pub(crate) received: Counter,
    pub(crate) packets: Counter,
    pub(crate) bytes: Counter,
    pub(crate) reads: Counter,
    pub(crate) sends: Counter,
    pub(crate) fragmented: Counter,
    drops: [Counter; EncapDrop::ALL.len()],
}

impl EncapCounters {
    pub(crate) fn drop(&self, reason: EncapDrop, packets: usize) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.add(packets);
        }
    }

    pub(crate) fn drops(&self) -> [u64; EncapDrop::ALL.len()] {
        self.drops.each_ref().map(Counter::get)
    }
}

/// Network to device.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct DecapCounters {
    pub(crate) received: Counter,
    pub(crate) packets: Counter,
    pub(crate) bytes: Counter,
    pub(crate) receives: Counter,
    pub(crate) writes: Counter,
    drops: [Counter; DecapDrop::ALL.len()],
}

impl DecapCounters {
    pub(crate) fn drop(&self, reason: DecapDrop, packets: usize) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.add(packets);
        }
    }

    pub(crate) fn drops(&self) -> [u64; DecapDrop::ALL.len()] {
        self.drops.each_ref().map(Counter::get)
    }
}

/// Failed sends and receives by error number; ICMP answers from the path arrive as these. Rare, so both
/// pumps share them.
pub(crate) struct ErrnoCounters([AtomicU64; Self::LEN]);

impl ErrnoCounters {
    /// Linux error numbers go up to 133 (`EHWPOISON`); what is beyond is counted at 0.
    const LEN: usize = 134;

    pub(crate) fn count(&self, error: &std::io::Error) {
        let errno = error.raw_os_error().and_then(|errno| usize::try_from(errno).ok()).unwrap_or(0);
        let [unknown, ..] = &self.0;
        self.0.get(errno).unwrap_or(unknown).fetch_add(1, Ordering::Relaxed);
    }

    /// The error numbers that occurred, with how often.
    pub(crate) fn occurred(&self) -> Vec<(i32, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        (0..).zip(counts).filter(|&(_, count)| count > 0).collect()
    }
}

impl Default for ErrnoCounters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Self::LEN])
    }
}
