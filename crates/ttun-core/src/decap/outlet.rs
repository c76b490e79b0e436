//! Writing packets to the device, and what to do when it refuses.

use std::io::{self, IoSlice};

use ttun_packet::{Run, VirtioNetHeader};

use crate::backoff::is_gone;
use crate::error::Error;
use crate::pumps::Context;
use crate::seam::PacketDevice;
use crate::stats::DecapDrop;

/// Pieces of one write: headers, and the payloads of a run.
const MAX_PIECES: usize = 1 + Run::MAX_PACKETS;

/// Where packets leave for the device.
pub(super) struct Outlet<'t, D> {
    device: D,
    context: &'t Context,
}

impl<'t, D: PacketDevice> Outlet<'t, D> {
    pub(super) fn new(device: D, context: &'t Context) -> Self {
        Self { device, context }
    }

    /// Adds `packets` to `run`; what they do not continue is written out first.
    pub(super) async fn put<'b>(
        &self,
        run: &mut Run<'b>,
        mut packets: impl ExactSizeIterator<Item = &'b [u8]>,
    ) -> Result<(), Error> {
        while let Some(packet) = packets.next() {
            if run.push(packet) {
                continue;
            }
            let written = self.write(run).await;
            run.push(packet);
            if let Err(gone) = written {
                // These are not going anywhere.
                self.context.decap.drop(DecapDrop::Closed, 1 + packets.len());
                run.clear();
                return Err(gone);
            }
        }
        Ok(())
    }

    /// Writes `run` as one super-packet, or, where the device does not take that, packet by packet, and empties it.
    pub(super) async fn write(&self, run: &mut Run<'_>) -> Result<(), Error> {
        let written = match run.packets().len() {
            0 => Ok(()),
            packets => self.write_run(run, packets).await,
        };
        run.clear();
        written
    }

    async fn write_run(&self, run: &mut Run<'_>, packets: usize) -> Result<(), Error> {
        match self.write_merged(run).await {
            Ok(()) => {
                self.written(packets, run.packets().iter().map(|packet| packet.len()).sum());
                Ok(())
            }
            Err(Refused::By(error)) if packets > 1 && !is_gone(&error) && !is_down(&error) => {
                self.write_singly(run.packets()).await
            }
            Err(refused) => self.lost(packets, refused),
        }
    }

    async fn write_singly(&self, packets: &[&[u8]]) -> Result<(), Error> {
        let header = VirtioNetHeader::NONE.encode();
        for (index, packet) in packets.iter().enumerate() {
            match self.write_when_possible(&[IoSlice::new(&header), IoSlice::new(packet)]).await {
                Ok(()) => self.written(1, packet.len()),
                Err(refused) => self.lost(1, refused).inspect_err(|_| {
                    self.context.decap.drop(DecapDrop::Closed, packets.len() - index - 1);
                })?,
            }
        }
        Ok(())
    }

    async fn write_merged(&self, run: &mut Run<'_>) -> Result<(), Refused> {
        let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
        let mut used = 1;
        for (piece, payload) in pieces.iter_mut().skip(1).zip(run.payloads()) {
            *piece = IoSlice::new(payload);
            used += 1;
        }
        if let Some(first) = pieces.first_mut() {
            *first = IoSlice::new(run.header());
        }
        self.write_when_possible(pieces.get(..used).unwrap_or(&[])).await
    }

    async fn write_when_possible(&self, pieces: &[IoSlice<'_>]) -> Result<(), Refused> {
        loop {
            match self.device.try_send(pieces) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::select! {
                        biased;
                        () = self.context.shutdown.requested() => return Err(Refused::Closed),
                        ready = self.device.writable() => ready.map_err(Refused::By)?,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refused::By(error)),
            }
        }
    }

    fn written(&self, packets: usize, bytes: usize) {
        let counters = &self.context.decap;
        counters.writes.add(1);
        counters.packets.add(packets);
        counters.bytes.add(bytes);
    }

    /// Counts what the device did not take; an error when it never will again.
    fn lost(&self, packets: usize, refused: Refused) -> Result<(), Error> {
        let (reason, fatal) = match refused {
            Refused::Closed => (DecapDrop::Closed, None),
            Refused::By(error) if is_down(&error) => (DecapDrop::DeviceDown, None),
            Refused::By(error) if is_gone(&error) => {
                (DecapDrop::DeviceError, Some(self.context.device_gone("writev", &error)))
            }
            Refused::By(_) => (DecapDrop::DeviceError, None),
        };
        self.context.decap.drop(reason, packets);
        fatal.map_or(Ok(()), Err)
    }
}

/// Why a write did not happen.
enum Refused {
    /// The tunnel is being closed.
    Closed,
    /// The device said no.
    By(io::Error),
}

/// A device that is down takes nothing (`tun_get_user`: EIO).
fn is_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}
