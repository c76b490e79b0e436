//! The prober: sends the probes of a tunnel by the tunnel's socket, on its thread.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::clock::SILENCE_MS;
use crate::io::{DatagramSocket, Fragmentation, Outer};
use crate::probe::{EchoDatagram, Request};
use crate::recovery::Recovery;
use crate::shared::Context;

/// Attempts at a send: after an error for an earlier datagram the next may succeed.
const ATTEMPTS: usize = 3;

/// The longest IP packet, bytes: IPv6 counts its header separately. Longer requests are refused.
const LONGEST_PACKET: usize = 65_535 + 40;

/// A peer counts as silent when it has not been heard for so many intervals of the probe,
const INTERVALS_OF_SILENCE: u32 = 3;

/// but at least so long: shorter pauses are of this host.
const LEAST_SILENCE: Duration = Duration::from_millis(300);

/// Sends probes for as long as it is polled. While there are none to send or to receive, that costs one load each time the tunnel's thread
/// wakes up.
pub(crate) async fn run(context: &Context, socket: &impl DatagramSocket) {
    let mut driver = pin!(drive(context, socket));
    let mut has_started = false;
    poll_fn(|waker| {
        if has_started && !context.probes.are_active() {
            return Poll::<()>::Pending;
        }
        has_started = true;
        driver.as_mut().poll(waker)
    })
    .await;
}

async fn drive(context: &Context, socket: &impl DatagramSocket) {
    let mut prober = Prober { context, socket, recovery: Recovery::default(), packet: Vec::new(), peer: 0 };
    loop {
        // Requests from now on wake it.
        let woken = context.shutdown.woken();
        prober.expect_answers();
        if !prober.has_peer() {
            context.probes.skip_probe();
        }
        while let Some(request) = context.probes.next_request() {
            prober.send(&request).await;
        }
        match context.probes.time_out() {
            None => woken.await,
            Some(pause) => tokio::select! {
                biased;
                () = woken => {}
                () = sleep(pause) => {}
            },
        }
    }
}

struct Prober<'t, S> {
    context: &'t Context,
    socket: &'t S,
    recovery: Recovery,
    packet: Vec<u8>,
    /// The version of the endpoints, as last seen.
    peer: u32,
}

impl<S: DatagramSocket> Prober<'_, S> {
    /// While a probe runs, a peer that is not heard is noticed sooner, or at long intervals later.
    fn expect_answers(&self) {
        let silence = self.context.probes.interval().map(|interval| interval * INTERVALS_OF_SILENCE);
        let silence = silence.map_or(SILENCE_MS, |silence| silence.max(LEAST_SILENCE).as_millis() as u64);
        self.context.clock.set_silence(silence);
    }

    /// It may have to be learned first.
    fn has_peer(&self) -> bool {
        self.context.endpoints.get().peer().is_some()
    }

    async fn send(&mut self, request: &Request) {
        if let Some((peer, _)) = self.context.endpoints.newer_than(self.peer) {
            self.peer = peer;
            self.socket.follow();
        }
        self.packet.clear();
        self.packet.resize(request.len.min(LONGEST_PACKET + 1), 0);
        let sent = match request.packet.write(&mut self.packet) {
            Some(()) => self.send_packet(request).await,
            None => Err(libc::EINVAL),
        };
        self.context.clock.mark_sent();
        if let Some(number) = request.single {
            self.context.probes.sent(number, sent);
        }
    }

    async fn send_packet(&self, request: &Request) -> Result<(), i32> {
        let pieces = [IoSlice::new(&self.packet)];
        let fragmentation = match request.datagram {
            EchoDatagram::AsData if self.context.sends_whole(request.len) => Fragmentation::Never,
            EchoDatagram::AsData => Fragmentation::Allowed,
            EchoDatagram::Whole => Fragmentation::Never,
        };
        let tos = request.outer_tos.unwrap_or_else(|| self.context.outer_tos.of(request.packet.tos));
        let outer = Outer { segment_len: None, tos: Some(tos), fragmentation };
        let mut attempt = 1;
        loop {
            let Err(error) = self.send_soon(&pieces, outer).await else { return Ok(()) };
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.failed(&error);
            if attempt == ATTEMPTS {
                return Err(errno);
            }
            attempt += 1;
        }
    }

    /// Sends when the socket has room, and does not wait behind the packets that wait for it as well: on a busy link these take each room
    /// as soon as there is any. So this tries whenever the tunnel's thread wakes up, which lets the prober look first.
    async fn send_soon(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()> {
        loop {
            let mut writable = pin!(self.socket.writable());
            let done = poll_fn(|waker| match self.socket.try_send(pieces, outer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    writable.as_mut().poll(waker).map_ok(|()| false)
                }
                done => Poll::Ready(done.map(|()| true)),
            });
            match done.await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn failed(&self, error: &io::Error) {
        self.context.socket_failed(error);
        if error.raw_os_error() == Some(libc::EMSGSIZE) {
            self.context.path_mtu_reported.store(true, Ordering::Relaxed);
        }
        self.recovery.after(error, self.socket, self.context);
    }
}
