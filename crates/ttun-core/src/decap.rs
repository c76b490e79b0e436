//! Network to device: receives many datagrams at once, checks each, hands neighbours of one flow to the
//! device as one super-packet.

mod inspect;
mod outlet;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use ttun_packet::{CoalesceOptions, Run};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::pump::{self, Drained, Pump};
use crate::pumps::Context;
use crate::seam::{DatagramSocket, Datagrams, PacketDevice};
use crate::stats::DecapDrop;

use inspect::{Inspector, MAX_DATAGRAMS};
use outlet::Outlet;

/// The longest receive: the kernel joins datagrams up to 64 KiB (`skb_gro_receive` in net/core/gro.c).
const BUFFER_LEN: usize = 65_536;

/// Receives before the other direction gets its turn.
const BUDGET: usize = 16;

/// The pump from network to device.
pub(crate) struct Decap<'t, D, S> {
    outlet: Outlet<'t, D>,
    socket: S,
    context: &'t Context,
    coalesce: CoalesceOptions,
    buffer: Box<[u8]>,
    backoff: Backoff,
    /// Which peer this is, as last seen.
    peer: u32,
    /// A new peer that was not heard yet. Datagrams of the one before stay in the receive buffer (connect(2) takes none out), and are
    /// carried, as their sender was the peer when they came; but they do not say that the new one is there.
    awaited: Option<SocketAddr>,
}

impl<'t, D: PacketDevice, S: DatagramSocket> Decap<'t, D, S> {
    pub(crate) fn new(device: D, socket: S, coalesce: CoalesceOptions, context: &'t Context) -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        let outlet = Outlet::new(device, context);
        let (peer, _) = context.endpoints.versioned();
        let backoff = Backoff::default();
        Self { outlet, socket, context, coalesce, buffer, backoff, peer, awaited: None }
    }

    /// Runs until the tunnel is closed (`Ok`) or the device is gone (`Err`).
    pub(crate) async fn run(&mut self) -> Result<(), Error> {
        pump::run(self, self.context).await
    }

    /// Looks whether the peer has changed.
    fn follow_peer(&mut self) {
        if let Some((peer, endpoints)) = self.context.endpoints.newer_than(self.peer) {
            self.peer = peer;
            self.awaited = Some(endpoints.remote);
        }
    }

    fn receive(&mut self) -> io::Result<Datagrams> {
        let Some(remote) = self.awaited else {
            let datagrams = self.socket.try_recv(&mut self.buffer)?;
            self.context.clock.mark_received(self.peer);
            return Ok(datagrams);
        };
        let (datagrams, sender) = self.socket.try_recv_from(&mut self.buffer)?;
        if sender.is_some_and(|sender| (sender.ip(), sender.port()) == (remote.ip(), remote.port())) {
            self.awaited = None;
            self.context.clock.mark_received(self.peer);
        }
        Ok(datagrams)
    }

    /// Hands the good packets of one receive to the device.
    async fn deliver(&mut self, datagrams: &Datagrams) -> Result<(), Error> {
        let context = self.context;
        context.decap.receives.add(1);
        if let Some(overflow) = datagrams.overflow {
            context.receive_overflow.store(overflow, Ordering::Relaxed);
        }
        if datagrams.len == 0 {
            context.decap.received.add(1);
            context.decap.drop(DecapDrop::Empty, 1);
            return Ok(());
        }
        let stride = datagrams.stride.max(1);
        let mut inspector = Inspector::new(context, &self.socket);
        let mut run = Run::new(self.coalesce);
        let mut left = self.buffer.get_mut(..datagrams.len).unwrap_or(&mut []);
        while !left.is_empty() {
            let (these, rest) = left.split_at_mut(left.len().min(MAX_DATAGRAMS * stride));
            let truncated = datagrams.truncated && rest.is_empty();
            let packets = inspector.inspect(these, stride, truncated);
            self.outlet.put(&mut run, packets.in_order(these)).await?;
            left = rest;
        }
        self.outlet.write(&mut run).await
    }
}

impl<D: PacketDevice, S: DatagramSocket> Pump for Decap<'_, D, S> {
    async fn drain(&mut self) -> Result<Drained, Error> {
        self.follow_peer();
        for _ in 0..BUDGET {
            match self.receive() {
                Ok(datagrams) => {
                    self.backoff.succeeded();
                    self.deliver(&datagrams).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::All),
                Err(error) => {
                    // Most often an ICMP answer to something sent earlier; it moved nothing.
                    self.context.errors.count(&error);
                    self.backoff.failed().await;
                }
            }
            if self.context.shutdown.is_requested() {
                break;
            }
        }
        Ok(Drained::Budget)
    }

    async fn ready(&self) -> Result<(), Error> {
        let ready = self.socket.readable().await;
        ready.map_err(|cause| Error::system("epoll_ctl", &cause, "waiting for the socket"))
    }
}
