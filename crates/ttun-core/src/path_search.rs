//! The search for the path MTU with echo requests of various sizes, in the manner of RFC 8899 (DPLPMTUD). It runs beside the probe, so
//! that a path whose routers do not report what they drop (a black hole) is noticed, and one that has become wider as well.
//!
//! A size counts as too big only if a small request of the same moment is answered, so that a peer that does not answer changes nothing.

mod bisection;

use std::future::pending;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, sleep, timeout_at};
use ttun_link::IPV6_MIN_MTU;
use ttun_packet::EchoRequest;

use crate::io::DatagramSocket;
use crate::probe::{Echo, EchoDatagram, EchoOutcome};
use crate::shared::Context;
use bisection::Bisection;

/// How often the present size is confirmed while full packets are sent. Until a black hole is noticed they are lost.
const CONFIRM_EVERY: Duration = Duration::from_millis(250);

/// The same where no full packet is lost: over IPv4, without DF; and while none are sent.
const CONFIRM_FRAGMENTED_EVERY: Duration = Duration::from_secs(5);
const CONFIRM_UNUSED_EVERY: Duration = Duration::from_secs(10);

/// How long small requests are awaited. Big ones that were sent before them are awaited for half the round-trip time longer, but at least
/// so long.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_millis(50);

/// Between attempts at larger sizes: from the first to the last, twice as long after each that fails.
const RAISE_AFTER: Duration = Duration::from_secs(3);
const RAISE_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Sizes that are tried at once: when the present one is too big, and when larger ones might fit.
const SIZES: usize = 12;
const RAISE_SIZES: usize = 6;

/// The smallest MTU that is searched for over IPv4, bytes: what every host must accept (RFC 791, section 3.1).
const LEAST_IPV4: usize = 576;

/// Searches for as long as it is polled, if a probe is configured.
pub(crate) async fn run(context: &Context, socket: &impl DatagramSocket) {
    if context.probes.destination().is_none() {
        return pending().await;
    }
    let mut searcher = Searcher::new(context, socket);
    loop {
        searcher.look().await;
        sleep(CONFIRM_EVERY).await;
    }
}

struct Searcher<'t, S> {
    context: &'t Context,
    socket: &'t S,
    /// The version of the peer.
    peer: u32,
    /// The MTU of the route that the kernel knows, and the largest one so far: that of the interface, unless the route has its own.
    kernel: usize,
    top: usize,
    /// What was last reported to the kernel, and what it knew before.
    reported: Option<(usize, usize)>,
    /// When the present size was last confirmed; `None` if it must be.
    confirmed_at: Option<Instant>,
    raise_at: Instant,
    raise_after: Duration,
}

impl<'t, S: DatagramSocket> Searcher<'t, S> {
    fn new(context: &'t Context, socket: &'t S) -> Self {
        Self {
            context,
            socket,
            peer: context.endpoints.peer_version(),
            kernel: 0,
            top: 0,
            reported: None,
            confirmed_at: None,
            raise_at: Instant::now(),
            raise_after: RAISE_AFTER,
        }
    }

    /// Does what is due.
    async fn look(&mut self) {
        let Some(kernel) = self.socket.path_mtu() else { return };
        self.follow(kernel);
        let now = Instant::now();
        let present = self.present();
        if present <= self.least() {
            self.confirmed_at = Some(now);
        }
        let longest_sent = self.context.searched_mtu.take_longest_sent();
        let is_used = self.overhead() + longest_sent > self.least();
        let every = match self.context.routers_fragment() {
            _ if !is_used => CONFIRM_UNUSED_EVERY,
            true => CONFIRM_FRAGMENTED_EVERY,
            false => CONFIRM_EVERY,
        };
        let is_due = |at: Instant| now >= at + every.saturating_sub(CONFIRM_EVERY);
        if self.confirmed_at.is_none_or(is_due) {
            self.confirm(present).await;
        }
        if self.confirmed_at.is_some() && now >= self.raise_at && self.present() < self.top {
            self.raise().await;
        }
    }

    /// Notices another peer, another route, and reports of routers.
    fn follow(&mut self, kernel: usize) {
        let peer = self.context.endpoints.peer_version();
        if peer != self.peer || kernel > self.top {
            self.context.searched_mtu.clear();
            (self.peer, self.top) = (peer, kernel);
            self.confirmed_at = None;
        }
        if kernel != self.kernel {
            self.kernel = kernel;
            self.confirmed_at = None;
            self.raise_soon();
        }
    }

    /// Tries the present size, and searches for a smaller one if it is lost twice.
    async fn confirm(&mut self, present: usize) {
        for copies in [1, 2] {
            match self.pass(&[present], copies).await.as_deref() {
                None => return,
                Some([_, ..]) => return self.found(present),
                Some([]) => {}
            }
        }
        let mut bisection = Bisection::new(self.least(), present);
        while let Some(sizes) = bisection.sizes(SIZES) {
            let Some(passed) = self.pass(&sizes, 2).await else { return };
            bisection.note(&sizes, &passed);
            // What has passed is used while the search goes on.
            self.found(bisection.passes());
        }
    }

    /// Tries larger sizes.
    async fn raise(&mut self) {
        let before = self.present();
        let mut bisection = Bisection::new(before, self.top);
        while let Some(sizes) = bisection.sizes(RAISE_SIZES) {
            let Some(passed) = self.pass(&sizes, 1).await else { break };
            if passed.is_empty() && bisection.passes() == before {
                break;
            }
            bisection.note(&sizes, &passed);
            self.found(bisection.passes());
        }
        if bisection.passes() == before {
            self.raise_at = Instant::now() + self.raise_after;
            self.raise_after = (self.raise_after * 2).min(RAISE_AT_LEAST_EVERY);
        }
    }

    /// Datagrams of up to `mtu` bytes reach the peer.
    fn found(&mut self, mtu: usize) {
        // Requests that were too big may have been reported meanwhile.
        self.kernel = self.socket.path_mtu().unwrap_or(self.kernel);
        let before = self.context.searched_mtu.in_effect(self.peer, self.kernel);
        self.context.searched_mtu.set(self.peer, self.kernel, mtu);
        self.confirmed_at = Some(Instant::now());
        if mtu < self.kernel && self.reported.replace((mtu, self.kernel)) != Some((mtu, self.kernel)) {
            self.socket.fragment_above(mtu, self.context.endpoints.get());
        }
        if mtu != before {
            self.raise_soon();
            self.context.path_mtu_reported.store(true, Ordering::Relaxed);
        }
    }

    fn raise_soon(&mut self) {
        self.raise_at = Instant::now() + RAISE_AFTER;
        self.raise_after = RAISE_AFTER * 2;
    }

    /// Which of `sizes` reach the peer and come back; `None` if nothing does. Each is sent as often as `copies` says.
    async fn pass(&self, sizes: &[usize], copies: usize) -> Option<Vec<usize>> {
        let (source, destination) = (self.context.probes.source()?, self.context.probes.destination()?);
        let overhead = self.overhead();
        let ask = |len, datagram| self.ask(source, destination, len, datagram);
        let mut asked = Vec::with_capacity(sizes.len() * copies);
        for _ in 0..copies {
            asked.extend(sizes.iter().map(|&size| (size, ask(size - overhead, EchoDatagram::Whole))));
        }
        let shortest = EchoRequest::min_len(&destination);
        let small = [(); 2].map(|()| ask(shortest, EchoDatagram::AsData));
        self.context.shutdown.wake();
        let mut rtt = None;
        for answer in small {
            if let Ok(EchoOutcome::Answered(answer)) = answer.await {
                rtt = Some(answer.rtt);
                break;
            }
        }
        let until = Instant::now() + (rtt? / 2).max(GRACE);
        let mut passed = Vec::new();
        for (size, answer) in asked {
            if let Ok(Ok(EchoOutcome::Answered(_))) = timeout_at(until, answer).await
                && !passed.contains(&size)
            {
                passed.push(size);
            }
        }
        Some(passed)
    }

    fn ask(
        &self,
        source: IpAddr,
        destination: IpAddr,
        len: usize,
        datagram: EchoDatagram,
    ) -> Receiver<EchoOutcome> {
        let timeout = ANSWER_WITHIN;
        self.context.probes.ask(Echo { destination, source, len, tos: 0, outer_tos: None, datagram, timeout })
    }

    fn present(&self) -> usize {
        self.context.searched_mtu.in_effect(self.peer, self.kernel)
    }

    fn overhead(&self) -> usize {
        self.context.outer_overhead()
    }

    /// The smallest size, which is assumed to pass.
    fn least(&self) -> usize {
        if self.context.is_over_ipv4() { LEAST_IPV4 } else { IPV6_MIN_MTU as usize }
    }
}
