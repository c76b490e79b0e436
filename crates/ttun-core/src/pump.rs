//! Pumps: the code that both directions share. Each drains a descriptor, yields to the other, and waits.

use std::future::Future;
use std::io;
use std::time::Duration;

use crate::busy_poll;
use crate::error::Error;
use crate::shared::Context;

/// Why draining stopped.
pub(crate) enum Drained {
    /// Nothing is left to read.
    All,
    /// The other direction has its turn.
    Budget,
}

/// One direction.
pub(crate) trait Pump {
    /// Carries the available packets, up to a budget. An error ends the tunnel.
    async fn drain(&mut self) -> Result<Drained, Error>;

    /// Resolves when there is something to drain again.
    async fn ready(&mut self) -> Result<(), Error>;
}

/// Runs both pumps, and beside them the `prober` and busy polling, on this thread until the tunnel is closed (`Ok`) or one of them fails
/// (`Err`). The prober, which sends little, goes first: a pump may fill the socket each time. Busy polling goes last, when the others have
/// nothing left to do.
///
/// One thread for both directions: two were measured, both always and only under load, and were slower in most measurements on two
/// processors (docs/performance.md).
pub(crate) async fn run_all(
    context: &Context,
    encap: &mut impl Pump,
    decap: &mut impl Pump,
    prober: impl Future,
) -> Result<(), Error> {
    let pumps = async { tokio::join!(run(context, encap), run(context, decap)) };
    tokio::select! {
        biased;
        _ = prober => Ok(()),
        (out, back) = pumps => out.and(back),
        () = busy_poll::run(context, context.busy_poll.unwrap_or_default()), if context.busy_poll.is_some() => Ok(()),
    }
}

/// Runs one pump until the tunnel is closed (`Ok`) or it fails (`Err`), which stops the other pump.
pub(crate) async fn run(context: &Context, pump: &mut impl Pump) -> Result<(), Error> {
    let ended = drain_until_closed(context, pump).await;
    context.shutdown.request();
    ended
}

async fn drain_until_closed(context: &Context, pump: &mut impl Pump) -> Result<(), Error> {
    let woken = context.shutdown.woken();
    tokio::pin!(woken);
    while !context.shutdown.is_requested() {
        match pump.drain().await? {
            Drained::Budget => tokio::task::yield_now().await,
            Drained::All => tokio::select! {
                biased;
                ready = pump.ready() => ready?,
                () = &mut woken => woken.set(context.shutdown.woken()),
            },
        }
    }
    Ok(())
}

/// Why a send or a write transferred nothing.
pub(crate) enum Refused {
    /// The tunnel is being closed.
    Closed,
    /// The kernel refused it.
    By(io::Error),
}

/// Makes a call that transfers all or nothing, and waits while it would block.
pub(crate) async fn when_possible(
    context: &Context,
    mut call: impl FnMut() -> io::Result<()>,
    writable: impl AsyncFn() -> io::Result<()>,
) -> Result<(), Refused> {
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::select! {
                    biased;
                    () = context.shutdown.requested() => return Err(Refused::Closed),
                    ready = writable() => ready.map_err(Refused::By)?,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Refused::By(error)),
        }
    }
}

/// The delay before a failed read is retried: none for single errors, such as an ICMP error, which is reported by the
/// next receive; a short one after many in a row, so that a lasting fault costs no CPU time.
#[derive(Default)]
pub(crate) struct RetryDelay {
    errors_in_a_row: u32,
}

impl RetryDelay {
    const ERRORS_WITHOUT_DELAY: u32 = 64;
    const DELAY: Duration = Duration::from_millis(10);

    /// Whether there was such a row of errors, which is over.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.errors_in_a_row) > Self::ERRORS_WITHOUT_DELAY
    }

    /// Whether there is such a row of errors; resolves after the delay.
    pub(crate) async fn failed(&mut self) -> bool {
        self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        let lasts = self.errors_in_a_row > Self::ERRORS_WITHOUT_DELAY;
        if lasts {
            tokio::time::sleep(Self::DELAY).await;
        }
        lasts
    }
}

/// Whether the TUN driver reports that the device, or the descriptor, is gone (`tun_chr_read_iter`, `tun_chr_write_iter`:
/// EBADFD).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV))
}
