//! The recovery of a socket that cannot reach its peer any more, or that has no room for a long datagram.

use std::cell::Cell;
use std::io;

use crate::error::Error;
use crate::io::DatagramSocket;
use crate::shared::Context;

/// Between one attempt to recover the socket and the next, ms.
const RECOVER_EVERY_MS: u64 = 1000;

/// Room for the fragments of the longest datagram, bytes in the kernel's account: at most three times its length.
const ROOM_FOR_FRAGMENTS: usize = 3 * 65_536;

/// Lets a datagram of `len` bytes be sent that has to be fragmented, and was refused because its fragments are longer than the limited send
/// buffer allows, twice its size (ENOBUFS of `__ip_append_data` in net/ipv4/ip_output.c and net/ipv6/ip6_output.c). The limit is to be
/// applied again after the send. Returns whether the send should be repeated.
pub(crate) fn makes_room(
    error: &io::Error,
    len: usize,
    socket: &impl DatagramSocket,
    context: &Context,
) -> bool {
    let is_short = || 2 * len > context.queue.limit() && context.queue.most_unsent.is_some();
    error.raw_os_error() == Some(libc::ENOBUFS)
        && is_short()
        && context.queue.exceed_limit()
        && socket.limit_unsent(ROOM_FOR_FRAGMENTS).is_ok()
}

/// The recovery of a socket that has lost its interface or its peer.
#[derive(Default)]
pub(crate) struct Recovery {
    /// When it may be tried (again), ms of uptime.
    at: Cell<u64>,
}

impl Recovery {
    /// A socket that is bound to an interface stays bound to it when that is deleted, and does not reach another of the same name
    /// (ENODEV in IPv4, ENETUNREACH in IPv6); one whose change of peer failed half-way has none (EDESTADDRREQ). After such errors
    /// it is reconnected, if that is the reason, at most once a second.
    pub(crate) fn after(&self, error: &io::Error, socket: &impl DatagramSocket, context: &Context) {
        let now = context.clock.now();
        if !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENETUNREACH | libc::EDESTADDRREQ))
            || now < self.at.get()
        {
            return;
        }
        self.at.set(now + RECOVER_EVERY_MS);
        // If it fails, it is retried after another error.
        let _ = context.endpoints.try_change(|endpoints| {
            let recovered = socket.recover(endpoints)?;
            context.reconnects.add(usize::from(recovered.is_some()));
            Ok::<_, Error>(recovered.unwrap_or(endpoints))
        });
    }
}
