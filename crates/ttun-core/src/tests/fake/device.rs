//! A TUN device in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;

use ttun_packet::{IpPacket, MAX_TOO_BIG_LEN, Segments, TooBig, VIRTIO_NET_HEADER_LEN, VirtioNetHeader};

use super::{faults::Faults, gate::Gate};
use crate::io::{DeviceRead, PacketDevice};
use crate::tests::packet::Read;

/// The longest that a read can be. All of this room must be free, so all of it is written to.
const LONGEST_READ: usize = 65_535;

/// A device whose kernel side is the test.
#[derive(Clone, Default)]
pub(in crate::tests) struct FakeDevice(Rc<State>);

#[derive(Default)]
struct State {
    reads: RefCell<VecDeque<Read>>,
    read: Cell<usize>,
    read_at_last_write: Cell<usize>,
    longest_without_write: Cell<usize>,
    writes: RefCell<Vec<Vec<Vec<u8>>>>,
    refuses_super_packets: Cell<bool>,
    mtu: Cell<Option<usize>>,
    answers: RefCell<Vec<Vec<u8>>>,
    read_faults: Faults,
    write_faults: Faults,
    reader: Gate,
    writer: Gate,
}

impl FakeDevice {
    /// Hands over ordinary packets, one a read.
    pub(in crate::tests) fn hand_over(&self, packets: &[Vec<u8>]) {
        self.hand_over_reads(packets.iter().map(|packet| (VirtioNetHeader::NONE, packet.clone())));
    }

    /// Hands over packets with things left to do.
    pub(in crate::tests) fn hand_over_reads(&self, reads: impl IntoIterator<Item = Read>) {
        self.0.reads.borrow_mut().extend(reads);
        self.0.reader.changed();
    }

    /// Packets that wait to be read.
    pub(in crate::tests) fn waiting(&self) -> usize {
        self.0.reads.borrow().len()
    }

    /// Reads that brought something, so far.
    pub(in crate::tests) fn reads(&self) -> usize {
        self.0.read.get()
    }

    /// Most reads between one write and the next.
    pub(in crate::tests) fn longest_without_write(&self) -> usize {
        self.0.longest_without_write.get()
    }

    /// All packets that were written, super-packets cut as the kernel does.
    pub(in crate::tests) fn taken(&self) -> Vec<Vec<u8>> {
        self.0.writes.borrow().concat()
    }

    /// The number of packets of each write.
    pub(in crate::tests) fn writes(&self) -> Vec<usize> {
        self.0.writes.borrow().iter().map(Vec::len).collect()
    }

    /// Messages to senders of packets, from 192.0.2.9 or 2001:db8::9.
    pub(in crate::tests) fn answers(&self) -> Vec<Vec<u8>> {
        self.0.answers.borrow().clone()
    }

    pub(in crate::tests) fn set_mtu(&self, mtu: usize) {
        self.0.mtu.set(Some(mtu));
    }

    /// Takes single packets only from now on.
    pub(in crate::tests) fn refuse_super_packets(&self) {
        self.0.refuses_super_packets.set(true);
    }

    pub(in crate::tests) fn read_faults(&self) -> &Faults {
        self.0.reader.changed();
        &self.0.read_faults
    }

    pub(in crate::tests) fn write_faults(&self) -> &Faults {
        &self.0.write_faults
    }

    /// Every read fails with `errno` until `None` is given.
    pub(in crate::tests) fn fail_reads(&self, errno: Option<i32>) {
        self.0.read_faults.last(errno);
        self.0.reader.changed();
    }

    /// Every write fails with `errno` until `None` is given.
    pub(in crate::tests) fn fail_writes(&self, errno: Option<i32>) {
        self.0.write_faults.last(errno);
        self.0.writer.changed();
    }

    pub(in crate::tests) fn is_reader_parked(&self) -> bool {
        self.0.reader.is_parked()
    }

    /// Whether a pump is about to look whether it can read, or write.
    pub(in crate::tests) fn is_woken(&self) -> bool {
        self.0.reader.is_woken() || self.0.writer.is_woken()
    }

    pub(in crate::tests) fn is_writer_parked(&self) -> bool {
        self.0.writer.is_parked()
    }
}

impl PacketDevice for FakeDevice {
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead> {
        self.0.read_faults.strike()?;
        let Some((virtio, bytes)) = self.0.reads.borrow_mut().pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        self.0.read.set(self.0.read.get() + 1);
        packet[..LONGEST_READ].fill(0xEE);
        packet[..bytes.len()].copy_from_slice(&bytes);
        Ok(DeviceRead { virtio, len: bytes.len() })
    }

    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        self.0.write_faults.strike()?;
        let written = pieces.iter().map(|piece| &**piece).collect::<Vec<_>>().concat();
        let (header, packet) = written.split_first_chunk::<VIRTIO_NET_HEADER_LEN>().unwrap();
        let virtio = VirtioNetHeader::decode(header);
        if virtio.gso_type != VirtioNetHeader::GSO_NONE && self.0.refuses_super_packets.get() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let packets = cut(virtio, packet).ok_or(io::Error::from_raw_os_error(libc::EINVAL))?;
        let since_last = self.0.read.get() - self.0.read_at_last_write.replace(self.0.read.get());
        self.0.longest_without_write.set(self.0.longest_without_write.get().max(since_last));
        self.0.writes.borrow_mut().push(packets);
        Ok(())
    }

    fn try_answer(&self, message: &TooBig<'_>) -> io::Result<()> {
        let source: IpAddr =
            if message.sender().is_ipv4() { [192, 0, 2, 9].into() } else { "2001:db8::9".parse().unwrap() };
        let mut buffer = [0; MAX_TOO_BIG_LEN];
        let packet = message.write(source, &mut buffer).unwrap();
        self.0.answers.borrow_mut().push(packet.to_vec());
        Ok(())
    }

    fn mtu(&self) -> Option<usize> {
        self.0.mtu.get()
    }

    async fn readable(&self) -> io::Result<()> {
        let State { reads, read_faults, reader, .. } = &*self.0;
        let something = || !reads.borrow().is_empty() || read_faults.is_pending();
        reader.wait(|| !read_faults.blocks() && something()).await;
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writer.wait(|| !self.0.write_faults.blocks()).await;
        Ok(())
    }
}

/// The packets that a write represents; `None` where it is not a packet.
fn cut(virtio: VirtioNetHeader, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut packet = packet.to_vec();
    let segments = Segments::new(virtio, &mut IpPacket::parse_mut(&mut packet).ok()?).ok()?;
    let whole = |index| {
        let mut bytes = vec![0; segments.header_len()];
        let payload = segments.write_header(index, &packet, &mut bytes).unwrap();
        bytes.extend(payload);
        bytes
    };
    Some((0..segments.count()).map(whole).collect())
}
