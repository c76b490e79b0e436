//! Which datagrams of a receive are packets that may go to the device.

use ttun_packet::{Invalid, clamp_mss, is_tcp_syn, validate};

use crate::pumps::Context;
use crate::seam::DatagramSocket;
use crate::stats::DecapDrop;
use crate::watch::Direction;

/// Most datagrams that are looked at together: what one receive brings (`UDP_GRO_CNT_MAX` in net/ipv4/udp_offload.c).
pub(super) const MAX_DATAGRAMS: usize = 64;

/// Looks at the datagrams of one receive.
pub(super) struct Inspector<'t, S> {
    context: &'t Context,
    socket: &'t S,
    /// What fits the route to the peer; asked once for the receive, when the first SYN is seen.
    inner_mtu: Option<usize>,
}

/// Where the good packets stand among the datagrams.
pub(super) struct Packets {
    extents: [(u32, u32); MAX_DATAGRAMS],
    len: usize,
}

impl Packets {
    pub(super) fn in_order<'b>(&self, datagrams: &'b [u8]) -> impl ExactSizeIterator<Item = &'b [u8]> {
        let extents = self.extents.iter().take(self.len);
        extents.map(|&(start, len)| datagrams.get(start as usize..(start + len) as usize).unwrap_or(&[]))
    }
}

impl<'t, S: DatagramSocket> Inspector<'t, S> {
    pub(super) fn new(context: &'t Context, socket: &'t S) -> Self {
        Self { context, socket, inner_mtu: None }
    }

    /// Checks up to [`MAX_DATAGRAMS`] datagrams of `stride` bytes (the last may be shorter), of which the last may be
    /// truncated. The bad ones are counted and left out.
    pub(super) fn inspect(&mut self, datagrams: &mut [u8], stride: usize, truncated: bool) -> Packets {
        let count = datagrams.len().div_ceil(stride);
        self.context.decap.received.add(count);
        let mut packets = Packets { extents: [(0, 0); MAX_DATAGRAMS], len: 0 };
        for (index, datagram) in datagrams.chunks_mut(stride).enumerate() {
            let checked = if truncated && index + 1 == count {
                Err(DecapDrop::Truncated)
            } else {
                self.check(datagram)
            };
            match (checked, packets.extents.get_mut(packets.len)) {
                (Ok(len), Some(slot)) => {
                    *slot = ((index * stride) as u32, len as u32);
                    packets.len += 1;
                }
                (Ok(_), None) => self.context.decap.drop(DecapDrop::Truncated, 1),
                (Err(reason), _) => self.context.decap.drop(reason, 1),
            }
        }
        self.show(&packets, datagrams);
        packets
    }

    /// The length of the packet in `datagram`, or why it is dropped.
    fn check(&mut self, datagram: &mut [u8]) -> Result<usize, DecapDrop> {
        let len = validate(datagram).map_err(|invalid| match invalid {
            Invalid::Empty => DecapDrop::Empty,
            Invalid::Malformed => DecapDrop::Malformed,
        })?;
        let packet = datagram.get_mut(..len).unwrap_or(&mut []);
        let allowed_sources = self.context.allowed_sources.as_ref();
        if allowed_sources.is_some_and(|sources| !sources.allows(packet)) {
            return Err(DecapDrop::SourceNotAllowed);
        }
        if self.context.clamp_mss && is_tcp_syn(packet) {
            let (socket, context) = (self.socket, self.context);
            let ask = || socket.path_mtu().map_or(usize::MAX, |mtu| context.inner_mtu(mtu));
            clamp_mss(packet, *self.inner_mtu.get_or_insert_with(ask));
        }
        Ok(len)
    }

    fn show(&self, packets: &Packets, datagrams: &[u8]) {
        let watch = &self.context.watch;
        let Some(watched) = watch.admit(Direction::Inbound, packets.len, &self.context.clock) else { return };
        for (index, packet) in packets.in_order(datagrams).enumerate() {
            watch.copy(&watched, index, &[], packet);
        }
    }
}
