//! Sending a batch, and what to do when the kernel refuses it.
//!
//! Errors of a connected UDP socket are asynchronous: an ICMP answer to an earlier datagram is handed to the
//! next call, which then has moved nothing (`sock_error` in include/net/sock.h). So a failed send is tried
//! once more before anything is counted as lost, and a batch that fails twice is sent packet by packet: it
//! must not be lost to an error that belongs to one of its packets, or to none of them.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;

use super::Encap;
use super::batch::MAX_PIECES;
use crate::seam::{DatagramSocket, PacketDevice};
use crate::stats::EncapDrop;

/// Packets of up to this many bytes fit any route whole: RFC 791 asks that hosts take 576 bytes, Linux does
/// not believe in routes of under 552 (`ip_rt_min_pmtu`), and outer headers take 28.
const ALWAYS_FITS: usize = 552 - 28;

/// Between one attempt to recover the socket and the next, ms.
const RECOVER_EVERY_MS: u64 = 1000;

impl<D: PacketDevice, S: DatagramSocket> Encap<'_, D, S> {
    /// Asks how long a packet may be so that the kernel need not fragment the datagram it travels in.
    pub(super) fn learn_path_mtu(&mut self) {
        self.unfragmented_len = match self.socket.path_mtu() {
            Some(mtu) => self.context.inner_mtu(mtu),
            // Without a route nothing will be sent; the send itself finds out.
            None => usize::MAX,
        };
    }

    /// Sends what waits, or counts why not.
    pub(super) async fn flush(&mut self) {
        let packets = self.batch.packets();
        if packets == 0 {
            return;
        }
        if packets == 1 {
            self.send_one(0).await;
        } else {
            self.send_all().await;
        }
        self.batch.clear();
        self.context.clock.mark_sent();
    }

    async fn send_all(&mut self) {
        let segment_len = Some(self.batch.segment_len() as u16);
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let pieces = self.batch.gather(&self.buffer, &mut slices);
        for _attempt in 0..2 {
            match self.send_when_possible(pieces, segment_len).await {
                Ok(()) => return self.sent(self.batch.packets(), self.batch.bytes()),
                Err(Refused::Closed) => {
                    return self.context.encap.drop(EncapDrop::Closed, self.batch.packets());
                }
                Err(Refused::By(error)) => {
                    self.context.errors.count(&error);
                    match error.raw_os_error() {
                        // A segment is longer than the route's MTU (EINVAL before kernel 6.14), which must
                        // have become smaller: segmented sends are never fragmented, single ones are.
                        Some(libc::EMSGSIZE | libc::EINVAL) => {
                            self.learn_path_mtu();
                            break;
                        }
                        // The interface can't take segments, having no checksum offload (udp(7)).
                        Some(libc::EIO) => {
                            self.segments_per_send = 1;
                            self.context.segments_per_send.store(1, Ordering::Relaxed);
                            break;
                        }
                        _ => {}
                    }
                }
            }
        }
        for index in 0..self.batch.packets() {
            self.send_one(index).await;
        }
    }

    async fn send_one(&mut self, index: usize) {
        let len = self.batch.packet_len(index);
        if len > ALWAYS_FITS {
            self.learn_path_mtu();
        }
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let pieces = self.batch.gather_one(index, &self.buffer, &mut slices);
        let mut lost = EncapDrop::SendError;
        for _attempt in 0..2 {
            match self.send_when_possible(pieces, None).await {
                Ok(()) => {
                    self.context.encap.fragmented.add(usize::from(len > self.unfragmented_len));
                    return self.sent(1, len);
                }
                Err(Refused::Closed) => return self.context.encap.drop(EncapDrop::Closed, 1),
                Err(Refused::By(error)) => {
                    self.context.errors.count(&error);
                    lost = reason(&error);
                    self.recover_socket(&error);
                }
            }
        }
        self.context.encap.drop(lost, 1);
    }

    /// A socket that is bound to an interface stays bound to it when that is deleted, and is lost to another of the same name
    /// (ENODEV in IPv4, ENETUNREACH in IPv6); one whose change of peer failed half-way has none (EDESTADDRREQ). After such errors,
    /// now and then, it is tried to mend that.
    fn recover_socket(&self, error: &io::Error) {
        let now = self.context.clock.now();
        if !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENETUNREACH | libc::EDESTADDRREQ))
            || now < self.recovery_tried.get() + RECOVER_EVERY_MS
        {
            return;
        }
        self.recovery_tried.set(now);
        // What can't be mended yet is tried again.
        let _ = self.context.endpoints.change(|endpoints| self.socket.recover(endpoints));
    }

    fn sent(&self, packets: usize, bytes: usize) {
        let counters = &self.context.encap;
        counters.sends.add(1);
        counters.packets.add(packets);
        counters.bytes.add(bytes);
    }

    /// A full send buffer is waited for: meanwhile packets queue at the device, and the kernel drops there.
    async fn send_when_possible(
        &self,
        pieces: &[IoSlice<'_>],
        segment_len: Option<u16>,
    ) -> Result<(), Refused> {
        loop {
            match self.socket.try_send(pieces, segment_len) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::select! {
                        biased;
                        () = self.context.shutdown.requested() => return Err(Refused::Closed),
                        ready = self.socket.writable() => ready.map_err(Refused::By)?,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refused::By(error)),
            }
        }
    }
}

/// Why a send did not happen.
enum Refused {
    /// The tunnel is being closed.
    Closed,
    /// The kernel said no.
    By(io::Error),
}

fn reason(error: &io::Error) -> EncapDrop {
    match error.raw_os_error() {
        Some(
            libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENETDOWN
            | libc::ENONET
            | libc::ENOPROTOOPT
            | libc::EACCES,
        ) => EncapDrop::PeerUnreachable,
        Some(libc::EMSGSIZE) => EncapDrop::TooBig,
        Some(libc::ENOBUFS | libc::ENOMEM) => EncapDrop::NoBufferSpace,
        _ => EncapDrop::SendError,
    }
}
