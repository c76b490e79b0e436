//! The MSS of TCP connections, lowered to what fits both the route to the peer and the device.

use ttun_packet::{IpPacket, clamp_mss};

use crate::io::{DatagramSocket, PacketDevice};
use crate::shared::Context;

/// Clamps the MSS of the connections that one pump sees opened.
pub(crate) struct MssClamp<'t, D, S> {
    device: &'t D,
    socket: &'t S,
    context: &'t Context,
    /// The longest packet that fits, and when that was looked up, ms of uptime.
    known: Option<(u64, usize)>,
}

impl<'t, D: PacketDevice, S: DatagramSocket> MssClamp<'t, D, S> {
    pub(crate) fn new(device: &'t D, socket: &'t S, context: &'t Context) -> Self {
        Self { device, socket, context, known: None }
    }

    /// Lowers the MSS of a packet that opens a connection. Super-packets never do, and must not be passed: their headers have
    /// already been read.
    pub(crate) fn apply(&mut self, packet: &mut IpPacket<&mut [u8]>) {
        if self.context.clamp_mss && packet.is_tcp_syn() {
            clamp_mss(packet, self.longest_packet());
        }
    }

    /// The longest packet that travels unfragmented and that the device of this end accepts. Looked up at most once a millisecond,
    /// so that a flood of SYNs does not cost system calls for each.
    ///
    /// A packet longer than the MTU of the device never reaches the tunnel: the kernel fragments it, or answers it with an ICMP error
    /// that many networks do not deliver. The other end of a connection does not know that MTU, and if this host forwards, this end
    /// does not either.
    fn longest_packet(&mut self) -> usize {
        let now = self.context.clock.now();
        if let Some((at, len)) = self.known
            && at == now
        {
            return len;
        }
        let path_mtu = self.context.path_mtu(self.socket.fresh_path_mtu(&self.context.endpoints));
        let fits_route = path_mtu.map_or(usize::MAX, |mtu| self.context.inner_mtu(mtu));
        let len = fits_route.min(self.device.mtu().unwrap_or(usize::MAX));
        self.known = Some((now, len));
        len
    }
}
