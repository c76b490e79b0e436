//! Both sides of a device: how the kernel delivers super-packets, and how a caller writes runs to it.

use std::io::IoSlice;

use ttun_packet::{
    CoalesceOptions, Invalid, IpPacket, Run, Segments, VIRTIO_NET_HEADER_LEN, VirtioNetHeader,
};

use crate::model::{Ip, Packet, Transport};

pub(crate) const BOTH: CoalesceOptions = CoalesceOptions { tcp: true, udp: true };

/// The virtio-net header of a super-packet.
pub(crate) fn gso(packet: &Packet, size: u16) -> VirtioNetHeader {
    VirtioNetHeader {
        flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
        gso_type: match (&packet.ip, &packet.transport) {
            (_, Transport::Udp { .. }) => VirtioNetHeader::GSO_UDP_L4,
            (Ip::V4 { .. }, Transport::Tcp { .. }) => VirtioNetHeader::GSO_TCPV4,
            (Ip::V6 { .. }, Transport::Tcp { .. }) => VirtioNetHeader::GSO_TCPV6,
        },
        hdr_len: packet.header_len() as u16,
        gso_size: size,
        csum_start: packet.transport_start() as u16,
        csum_offset: packet.checksum_offset() as u16,
    }
}

/// The plan of one read.
pub(crate) fn segments(virtio: VirtioNetHeader, packet: &mut [u8]) -> Result<Segments, Invalid> {
    Segments::new(virtio, &mut IpPacket::parse_mut(packet)?)
}

/// All packets that one read represents, as they go on the wire.
pub(crate) fn read(virtio: VirtioNetHeader, packet: &[u8]) -> Result<Vec<Vec<u8>>, Invalid> {
    let mut packet = packet.to_vec();
    let segments = segments(virtio, &mut packet)?;
    Ok((0..segments.count())
        .map(|index| {
            let mut bytes = vec![0; segments.header_len()];
            let payload = segments.write_header(index, &packet, &mut bytes).unwrap();
            assert_eq!(payload, &packet[segments.payload(index)]);
            bytes.extend(payload);
            assert_eq!(bytes.len(), segments.packet_len(index));
            bytes
        })
        .collect())
}

/// What is written to the device for `packets`, which must be valid, and how many packets are in each write.
pub(crate) fn write(options: CoalesceOptions, packets: &[Vec<u8>]) -> Vec<(usize, Vec<u8>)> {
    let mut run = Run::new(options);
    let mut writes = vec![];
    for packet in packets {
        let packet = IpPacket::parse(packet).unwrap();
        if !run.push(&packet) {
            writes.push(take(&mut run));
            assert!(run.push(&packet), "an empty run takes every packet");
        }
    }
    if !run.is_empty() {
        writes.push(take(&mut run));
    }
    writes
}

/// What is written for `run`.
pub(crate) fn written(run: &mut Run<'_>) -> Vec<u8> {
    let len = run.len();
    let mut slices = [IoSlice::new(&[]); Run::MAX_PIECES];
    let pieces = run.gather(&mut slices).unwrap();
    assert_eq!(pieces.len(), 1 + len);
    pieces.iter().flat_map(|piece| piece.to_vec()).collect()
}

fn take(run: &mut Run<'_>) -> (usize, Vec<u8>) {
    let count = run.len();
    assert!((1..=Run::MAX_PACKETS).contains(&count));
    let bytes = written(run);
    run.clear();
    assert!(run.is_empty() && run.packets().len() == 0);
    (count, bytes)
}

/// How many packets are in each write.
pub(crate) fn runs(packets: &[Packet]) -> Vec<usize> {
    let packets: Vec<_> = packets.iter().map(Packet::bytes).collect();
    write(BOTH, &packets).into_iter().map(|(count, _)| count).collect()
}

/// The packets that the kernel makes of one write.
pub(crate) fn expand(write: &[u8]) -> Vec<Vec<u8>> {
    let (virtio, packet) = write.split_at(VIRTIO_NET_HEADER_LEN);
    let virtio = decode(virtio);
    if virtio == VirtioNetHeader::NONE {
        return vec![packet.to_vec()];
    }
    read(virtio, packet).unwrap_or_default()
}

pub(crate) fn decode(bytes: &[u8]) -> VirtioNetHeader {
    let mut header = [0; VIRTIO_NET_HEADER_LEN];
    header.copy_from_slice(&bytes[..VIRTIO_NET_HEADER_LEN]);
    VirtioNetHeader::decode(&header)
}

/// Makes packets comparable: the IPv4 ID of a packet that may not be fragmented carries no meaning.
pub(crate) fn without_atomic_ids(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut packets = packets.to_vec();
    for packet in &mut packets {
        if packet.len() >= 20 && packet[0] == 0x45 && packet[6] & 0x40 != 0 {
            packet[4..6].fill(0);
            packet[10..12].fill(0);
        }
    }
    packets
}
