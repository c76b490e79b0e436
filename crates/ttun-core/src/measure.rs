//! Series of echo requests that measure the path to the peer.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::probe::{Echo, EchoDatagram, EchoOutcome, find_source};
use crate::running::{Shared, no_source};
use crate::tunnel::Tunnel;

/// A request of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesEcho {
    /// Length of the inner packet, bytes.
    pub len: usize,
    /// TOS or traffic class of the inner header.
    pub tos: u8,
    /// That of the outer header.
    pub outer_tos: u8,
    /// Whether its datagram may travel in fragments.
    pub datagram: EchoDatagram,
}

impl Tunnel {
    /// Sends echo requests to an address in the tunnel at this `distance`, and waits for the replies, each up to `timeout`. The outcomes
    /// have the order of the requests.
    ///
    /// # Errors
    /// If the device is down, gone, or has no address to ask from, or `destination` is an address of this host.
    /// [`ErrorKind::Closed`] when the tunnel ends meanwhile.
    pub fn echo_series(
        &self,
        destination: IpAddr,
        requests: &[SeriesEcho],
        distance: Duration,
        timeout: Duration,
    ) -> Result<Vec<EchoOutcome>, Error> {
        let source = self.shared.source_towards(destination)?;
        let awaited: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(number, &SeriesEcho { len, tos, outer_tos, datagram })| {
                if number > 0 {
                    thread::sleep(distance);
                }
                let outer_tos = Some(outer_tos);
                let echo = Echo { destination, source, len, tos, outer_tos, datagram, timeout };
                let outcome = self.shared.context.probes.ask(echo);
                self.shared.context.shutdown.wake();
                outcome
            })
            .collect();
        let ended = |_| Error::new(ErrorKind::Closed, "the tunnel has ended");
        awaited.into_iter().map(|outcome| outcome.blocking_recv().map_err(ended)).collect()
    }
}

impl Shared {
    /// The address of the device from which to ask an address in the tunnel.
    fn source_towards(&self, destination: IpAddr) -> Result<IpAddr, Error> {
        let facts = &self.context.device_facts;
        let name = facts.name();
        let unknown = || {
            Error::new(
                ErrorKind::DeviceGone,
                format!("{name} is down or gone, so it has no address to ask from"),
            )
            .with_hint(format!("bring it up: ip link set dev {name} up"))
        };
        let (index, _) = facts.get().ok_or_else(unknown)?;
        let source = find_source(&name, index, destination).map_err(|_| unknown())?;
        source.address().ok_or_else(|| no_source(source, &name, destination))
    }
}
