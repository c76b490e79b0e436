//! Datagrams of senders that are not the peer, where the peer is learned: who becomes the peer, and the rest is dropped and counted.

use std::time::Duration;

use ttun_packet::IpPacket;

use super::{Context, DatagramSocket, Datagrams, Decap, Drained, Error, Ordering, PacketDevice, io};
use crate::endpoints::{Arrival, Endpoints};
use crate::history::{Change, ChangeKind, span};
use crate::learn::{Judgement, Learning};
use crate::stats::DecapDrop;

/// Receives from others before the peer gets its turn again, so that a flood takes little from it.
const BUDGET: usize = 4;

/// The same after a change of the peer: what it has sent before goes first.
const BUDGET_AFTER_CHANGE: usize = 64;

impl<D: PacketDevice, S: DatagramSocket> Decap<'_, D, S> {
    /// Receives what has arrived from others, up to a budget.
    pub(super) async fn take_others(&mut self) -> Result<Drained, Error> {
        let Some(learning) = &self.context.learning else { return Ok(Drained::All) };
        let (mut left, mut changed) = (BUDGET, false);
        while left > 0 && !self.context.shutdown.is_requested() {
            left -= 1;
            match self.socket.try_recv_other(&mut self.buffer) {
                Ok((datagrams, arrival)) => {
                    self.retry.succeeded();
                    if self.take_from(learning, datagrams, arrival).await? {
                        if changed {
                            // First, what the peer between them has sent, so that its socket is closed.
                            return Ok(Drained::Budget);
                        }
                        (left, changed) = (BUDGET_AFTER_CHANGE, true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::All),
                Err(error) => {
                    self.context.socket_failed(&error);
                    self.retry.failed().await;
                }
            }
        }
        Ok(Drained::Budget)
    }

    /// Takes or drops what one sender sent. Returns whether it has become the peer.
    async fn take_from(
        &mut self,
        learning: &Learning,
        datagrams: Datagrams,
        arrival: Arrival,
    ) -> Result<bool, Error> {
        let clock = &self.context.clock;
        let (peer, now) = self.context.endpoints.with_peer_since();
        let silent_ms = clock.last_received(peer).map(|at| clock.now().saturating_sub(at));
        match learning.judge(&arrival, now, silent_ms) {
            Judgement::Peer => {
                clock.mark_received(self.peer);
                self.take(datagrams).await?;
                Ok(false)
            }
            Judgement::Candidate => self.consider(learning, datagrams, arrival, silent_ms).await,
            Judgement::Refused(reason) => {
                self.refuse(learning, &datagrams, arrival, reason);
                Ok(false)
            }
        }
    }

    /// Makes a sender the peer if one of its datagrams is valid.
    async fn consider(
        &mut self,
        learning: &Learning,
        datagrams: Datagrams,
        arrival: Arrival,
        silent_ms: Option<u64>,
    ) -> Result<bool, Error> {
        if let Err(reason) = self.find_valid(&datagrams) {
            learning.refuse(arrival.from, reason, self.context.clock.now());
            // Each is counted under its own reason.
            self.take(datagrams).await?;
            return Ok(false);
        }
        let at = self.started + Duration::from_millis(self.context.clock.now());
        if self.changes.exhausted_until(at).is_some() {
            self.refuse(learning, &datagrams, arrival, DecapDrop::NotThePeer);
            return Ok(false);
        }
        self.changes.use_at(at);
        if adopt(self.context, self.socket, arrival, silent_ms).is_err() {
            self.refuse(learning, &datagrams, arrival, DecapDrop::NoRouteBack);
            return Ok(false);
        }
        learning.peer_changed();
        self.follow_peer();
        self.context.clock.mark_received(self.peer);
        self.take(datagrams).await?;
        Ok(true)
    }

    /// The reason why the first datagram is dropped, if all would be.
    fn find_valid(&self, datagrams: &Datagrams) -> Result<(), DecapDrop> {
        let mut datagrams_left = self.buffer[..datagrams.len].chunks(datagrams.stride.max(1));
        let mut reason = DecapDrop::Empty;
        while let Some(datagram) = datagrams_left.next() {
            if datagrams.truncated && datagrams_left.len() == 0 {
                return Err(DecapDrop::Truncated);
            }
            reason = match IpPacket::parse(datagram) {
                Ok(packet) if self.context.allowed_sources.as_ref().is_none_or(|s| s.allows(&packet)) => {
                    return Ok(());
                }
                Ok(_) => DecapDrop::SourceNotAllowed,
                Err(_) => DecapDrop::Malformed,
            };
        }
        Err(reason)
    }

    fn refuse(&self, learning: &Learning, datagrams: &Datagrams, arrival: Arrival, reason: DecapDrop) {
        let Context { decap, clock, receive_overflow, .. } = self.context;
        let count = datagrams.len.div_ceil(datagrams.stride.max(1)).max(1);
        learning.refuse(arrival.from, reason, clock.now());
        if let Some(overflow) = datagrams.overflow {
            receive_overflow.store(overflow, Ordering::Relaxed);
        }
        decap.receives.add(1);
        decap.received.add(count);
        decap.drop(reason, count);
    }
}

/// Makes the sender the peer in place of the present one, which was last heard `silent_ms` ago, and records that.
fn adopt(
    context: &Context,
    socket: &impl DatagramSocket,
    arrival: Arrival,
    silent_ms: Option<u64>,
) -> Result<(), Error> {
    let mut changed = None;
    context.endpoints.change(|now| {
        let after = socket.adopt(arrival)?;
        if now.peer().is_some() {
            context.reconnects.add(1);
        }
        if now.remote != after.remote {
            context.peer_changes.add(1);
            changed = Some((now, after));
        }
        Ok::<_, Error>(after)
    })?;
    if let Some((before, after)) = changed {
        context.history.record(peer_changed(before, after, silent_ms));
    }
    Ok(())
}

fn peer_changed(before: Endpoints, after: Endpoints, silent_ms: Option<u64>) -> Change {
    let remote = after.remote;
    let message = match before.peer() {
        None => format!("the peer is {remote}, which has sent the first packet"),
        Some(previous) if previous.ip() == remote.ip() => {
            format!("the peer's address changed from {previous} to {remote}")
        }
        Some(previous) => {
            let silent = span(Duration::from_millis(silent_ms.unwrap_or(0)));
            format!("the peer's address changed from {previous}, silent for {silent}, to {remote}")
        }
    };
    Change {
        remote: Some(remote),
        previous: before.peer().map(|previous| previous.to_string()),
        ..Change::new(ChangeKind::PeerChanged, message)
    }
}
