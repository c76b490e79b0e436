//! Inner packets, written byte by byte; shares nothing with the packet arithmetic under test.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ttun_packet::{Flow, IpPacket, VirtioNetHeader};

/// IP and UDP headers, bytes: no packet of [`udp`] is shorter.
const UDP_HEADERS: usize = 28;

/// IP and TCP headers of [`tcp_super_packet`], bytes.
const TCP_HEADERS: usize = 40;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));
const DESTINATION: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));
const PORTS: [u16; 2] = [40_000, 5201];

const TCP: u8 = 6;
const UDP: u8 = 17;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A read of the device: what the kernel left to do, and the bytes.
pub(super) type Read = (VirtioNetHeader, Vec<u8>);

/// A UDP packet of `len` bytes, headers included. `number` is its IP ID and makes its payload differ from others.
pub(super) fn udp(number: u16, len: usize) -> Vec<u8> {
    udp_between(SOURCE, DESTINATION, number, len - UDP_HEADERS)
}

/// UDP packets of `len` bytes, one after the other of one flow.
pub(super) fn udp_flow(count: u16, len: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| udp(number, len)).collect()
}

/// A datagram from one address to another, as a tunnel between them sends it.
pub(super) fn datagram(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let [source, destination]: [SocketAddr; 2] = [source, destination].map(|end| end.parse().unwrap());
    let udp = udp_datagram([source.port(), destination.port()], payload);
    ip(source.ip(), destination.ip(), 0, UDP, udp)
}

/// A UDP super-packet of `datagrams`, all of the same length but the last, which may be shorter.
pub(super) fn udp_super_packet(source: &str, destination: &str, datagrams: &[Vec<u8>]) -> Read {
    let virtio = VirtioNetHeader {
        flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
        gso_type: VirtioNetHeader::GSO_UDP_L4,
        hdr_len: UDP_HEADERS as u16,
        gso_size: datagrams[0].len() as u16,
        csum_start: 20,
        csum_offset: 6,
    };
    (virtio, datagram(source, destination, &datagrams.concat()))
}

/// A UDP packet with `payload_len` bytes of payload.
fn udp_between(source: IpAddr, destination: IpAddr, number: u16, payload_len: usize) -> Vec<u8> {
    ip(source, destination, number, UDP, udp_datagram(PORTS, &payload(number, payload_len)))
}

fn udp_datagram(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut datagram = ports.map(u16::to_be_bytes).concat();
    datagram.extend(((8 + payload.len()) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// A UDP packet from `source`.
pub(super) fn udp_from(source: &str) -> Vec<u8> {
    let source: IpAddr = source.parse().unwrap();
    let destination = if source.is_ipv4() { DESTINATION } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
    udp_between(source, destination, 0, 100)
}

/// A TCP super-packet with `payload_len` bytes to be cut into `segment_len` each, and the packets that it
/// stands for.
pub(super) fn tcp_super_packet(payload_len: usize, segment_len: usize) -> (Read, Vec<Vec<u8>>) {
    let bytes = payload(0, payload_len);
    let virtio = VirtioNetHeader {
        flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
        gso_type: VirtioNetHeader::GSO_TCPV4,
        hdr_len: TCP_HEADERS as u16,
        gso_size: segment_len as u16,
        csum_start: 20,
        csum_offset: 16,
    };
    let whole = ip(SOURCE, DESTINATION, 0, TCP, tcp_segment(0, ACK, &[], &bytes));
    let packets = (0..).zip(bytes.chunks(segment_len)).map(|(index, chunk)| {
        let sequence = index * segment_len as u32;
        ip(SOURCE, DESTINATION, index as u16, TCP, tcp_segment(sequence, ACK, &[], chunk))
    });
    ((virtio, whole), packets.collect())
}

/// `packet` with another TOS octet, or traffic class.
pub(super) fn with_tos(packet: &[u8], tos: u8) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 6 {
        packet[..2].copy_from_slice(&[0x60 | tos >> 4, tos << 4]);
    } else {
        packet[1] = tos;
        packet[10..12].fill(0);
        let checksum = !fold(sum(&packet[..20]));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

/// A TCP SYN over IPv4 with an MSS option.
pub(super) fn syn(mss: u16) -> Vec<u8> {
    let [high, low] = mss.to_be_bytes();
    ip(SOURCE, DESTINATION, 0, TCP, tcp_segment(0, SYN, &[2, 4, high, low], &[]))
}

/// The MSS option of a packet made by [`syn`].
pub(super) fn mss(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[42], packet[43]])
}

/// Whether the IPv4 header and the transport have right checksums.
pub(super) fn has_right_checksums(packet: &[u8]) -> bool {
    let (header, transport) = packet.split_at(20);
    let pseudo_header = sum(&packet[12..20]) + u32::from(packet[9]) + transport.len() as u32;
    fold(sum(header)) == 0xFFFF && fold(sum(transport) + pseudo_header) == 0xFFFF
}

/// Where the ICMP message begins in `packet`.
pub(super) fn message_at(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { 20 } else { 40 }
}

/// The reply to an echo request, as the host at the other end sends it.
pub(super) fn reply_to(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    let at = message_at(request);
    let (addresses, len) = if at == 20 { (12, 4) } else { (8, 16) };
    reply[addresses..addresses + len].copy_from_slice(&request[addresses + len..addresses + 2 * len]);
    reply[addresses + len..addresses + 2 * len].copy_from_slice(&request[addresses..addresses + len]);
    reply[at] = if at == 20 { 0 } else { 129 };
    reply
}

/// A UDP packet of `len` bytes that must not be fragmented.
pub(super) fn with_df(len: usize) -> Vec<u8> {
    let mut packet = udp(7, len);
    packet[6] |= 0x40;
    // What was added to the header is taken out of its checksum.
    let checksum = u16::from_be_bytes([packet[10], packet[11]]);
    let (less, borrow) = checksum.overflowing_sub(0x4000);
    packet[10..12].copy_from_slice(&(less - u16::from(borrow)).to_be_bytes());
    packet
}

fn tcp_segment(sequence: u32, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = PORTS.map(u16::to_be_bytes).concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend(1_u32.to_be_bytes());
    segment.extend([((20 + options.len()) / 4 * 16) as u8, flags]);
    segment.extend(500_u16.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// Bytes that show their place, and do not begin as an IP packet does.
fn payload(number: u16, len: usize) -> Vec<u8> {
    let mixed = |index: usize| (index as u32 * 31 + index as u32 / 253 + u32::from(number) * 97) as u8;
    (0..len).map(|index| if index == 0 { 0xA0 } else { mixed(index) }).collect()
}

fn ip(source: IpAddr, destination: IpAddr, id: u16, protocol: u8, mut transport: Vec<u8>) -> Vec<u8> {
    let len = transport.len();
    let addresses = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => [source.octets(), destination.octets()].concat(),
        (IpAddr::V6(source), IpAddr::V6(destination)) => [source.octets(), destination.octets()].concat(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => panic!("one family a packet"),
    };
    let pseudo_header = sum(&addresses) + u32::from(protocol) + len as u32;
    let at = if protocol == TCP { 16 } else { 6 };
    let checksum = match !fold(sum(&transport) + pseudo_header) {
        0 if protocol == UDP => 0xFFFF,
        checksum => checksum,
    };
    transport[at..at + 2].copy_from_slice(&checksum.to_be_bytes());

    let mut packet;
    if source.is_ipv4() {
        packet = vec![0x45, 0];
        packet.extend(((20 + len) as u16).to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend([0, 0, 64, protocol, 0, 0]);
        packet.extend(addresses);
        let checksum = !fold(sum(&packet));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        packet = vec![0x60, 0, 0, 0];
        packet.extend((len as u16).to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend(addresses);
    }
    packet.extend(transport);
    packet
}

/// RFC 1071, word by word.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|word| u32::from(word[0]) * 256 + word.get(1).map_or(0, |low| u32::from(*low))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = sum % 0x1_0000 + sum / 0x1_0000;
    }
    sum as u16
}

/// The packets of each flow, in their order. Those of different flows may overtake each other where they wait for the socket.
pub(super) fn by_flow(packets: &[Vec<u8>]) -> HashMap<Flow, Vec<&[u8]>> {
    let mut flows = HashMap::<_, Vec<&[u8]>>::new();
    for packet in packets {
        flows.entry(Flow::of(&IpPacket::parse(packet).unwrap())).or_default().push(packet);
    }
    flows
}
