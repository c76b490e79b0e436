//! What both directions have in common: drain a descriptor, let the other direction have its turn, wait.

use crate::error::Error;
use crate::pumps::Context;

/// Why draining stopped.
pub(crate) enum Drained {
    /// Nothing is left to read.
    All,
    /// The other direction has its turn.
    Budget,
}

/// One direction.
pub(crate) trait Pump {
    /// Carries what is there, up to a budget. An error ends the tunnel.
    async fn drain(&mut self) -> Result<Drained, Error>;

    /// Resolves when there is something to drain again.
    async fn ready(&self) -> Result<(), Error>;
}

/// Runs `pump` until the tunnel is closed (`Ok`) or can't go on (`Err`).
pub(crate) async fn run(pump: &mut impl Pump, context: &Context) -> Result<(), Error> {
    let shutdown = context.shutdown.requested();
    tokio::pin!(shutdown);
    while !context.shutdown.is_requested() {
        match pump.drain().await? {
            Drained::Budget => tokio::task::yield_now().await,
            Drained::All => tokio::select! {
                biased;
                ready = pump.ready() => ready?,
                () = &mut shutdown => {}
            },
        }
    }
    Ok(())
}
