//! Round trip of random traffic: packets are coalesced, and the result is segmented again. The runs are exactly those
//! that a slow reference allows, which segments plain fields.

use proptest::prelude::*;
use ttun_packet::{CoalesceOptions, Run, VIRTIO_NET_HEADER_LEN, VirtioNetHeader};

use crate::device::{decode, expand, without_atomic_ids, write};
use crate::model::{self, ACK, DF, Ip, PSH, Packet, Transport};
use crate::strategy::traffic;

/// Whether `next` belongs to the super-packet that `run` already is: if segmenting it gives back all of them.
fn continues(options: CoalesceOptions, run: &[Packet], next: &Packet) -> bool {
    let mut packets = run.to_vec();
    packets.push(next.clone());
    let mut merged = Packet { payload: vec![], ..run[0].clone() };
    for packet in &packets {
        merged.payload.extend(&packet.payload);
    }
    if let (Transport::Tcp { flags, .. }, Transport::Tcp { flags: last, .. }) =
        (&mut merged.transport, &next.transport)
    {
        *flags = *last;
    }
    let bytes =
        |packets: &[Packet]| without_atomic_ids(&packets.iter().map(Packet::bytes).collect::<Vec<_>>());
    packets.len() <= Run::MAX_PACKETS
        && packets.iter().all(|packet| can_merge(options, packet))
        && merged.header_len() + merged.payload.len() <= 65_535
        && bytes(&merged.cut(run[0].payload.len())) == bytes(&packets)
}

fn can_merge(options: CoalesceOptions, packet: &Packet) -> bool {
    let ip = match &packet.ip {
        Ip::V4 { flags_and_offset, options, checksum_error, .. } => {
            [0, DF].contains(flags_and_offset) && options.is_empty() && *checksum_error == 0
        }
        Ip::V6 { extensions, .. } => extensions.is_empty(),
    };
    let transport = match &packet.transport {
        Transport::Tcp { reserved, flags, .. } => {
            options.tcp && *reserved == 0 && [ACK, ACK | PSH].contains(flags)
        }
        Transport::Udp { ports, checksum } => {
            options.udp && *checksum && !ports.contains(&4789) && !ports.contains(&8472)
        }
    };
    ip && transport && packet.checksum_error == 0 && !packet.payload.is_empty()
}

fn expected_runs(options: CoalesceOptions, packets: &[Packet]) -> Vec<usize> {
    let mut runs: Vec<Vec<Packet>> = vec![];
    for packet in packets {
        match runs.last_mut() {
            Some(run) if continues(options, run, packet) => run.push(packet.clone()),
            _ => runs.push(vec![packet.clone()]),
        }
    }
    runs.iter().map(Vec::len).collect()
}

/// What the kernel relies on in a super-packet: all lengths, the IPv4 header checksum, and the sum of the pseudo header.
fn is_in_order(write: &[u8]) -> bool {
    let virtio = decode(write);
    let packet = &write[VIRTIO_NET_HEADER_LEN..];
    let start = usize::from(virtio.csum_start);
    let transport = &packet[start..];
    let checksum = usize::from(virtio.csum_offset);
    let (lengths, addresses, protocol) = if packet[0] >> 4 == 4 {
        (
            usize::from(u16::from_be_bytes([packet[2], packet[3]])) == packet.len()
                && model::fold(model::sum(&packet[..20])) == 0xFFFF,
            &packet[12..20],
            packet[9],
        )
    } else {
        (
            usize::from(u16::from_be_bytes([packet[4], packet[5]])) + 40 == packet.len(),
            &packet[8..40],
            packet[6],
        )
    };
    let udp_length =
        protocol == 6 || usize::from(u16::from_be_bytes([transport[4], transport[5]])) == transport.len();
    let pseudo_header = model::fold(model::sum(addresses) + u64::from(protocol) + transport.len() as u64);
    let header_len = start + if protocol == 6 { usize::from(transport[12] >> 4) * 4 } else { 8 };
    lengths
        && udp_length
        && virtio.flags == VirtioNetHeader::FLAG_NEEDS_CSUM
        && usize::from(virtio.hdr_len) == header_len
        && packet.len() - header_len > usize::from(virtio.gso_size)
        && transport[checksum..checksum + 2] == pseudo_header.to_be_bytes()
}

proptest! {
    #[test]
    fn coalescing_and_segmenting_gives_the_same_packets_in_the_same_order(
        packets in traffic(),
        options in any::<(bool, bool)>().prop_map(|(tcp, udp)| CoalesceOptions { tcp, udp: udp || !tcp }),
    ) {
        let bytes: Vec<_> = packets.iter().map(Packet::bytes).collect();
        let writes = write(options, &bytes);
        let counts: Vec<_> = writes.iter().map(|(count, _)| *count).collect();
        prop_assert_eq!(counts, expected_runs(options, &packets));
        for (count, write) in &writes {
            prop_assert!(*count == 1 || is_in_order(write));
        }
        let came_out: Vec<_> = writes.iter().flat_map(|(_, write)| expand(write)).collect();
        prop_assert_eq!(without_atomic_ids(&came_out), without_atomic_ids(&bytes));
        // Only such IDs differ, and only where packets were merged.
        for ((before, after), packet) in bytes.iter().zip(&came_out).zip(&packets) {
            prop_assert!(before == after || packet.has_df());
        }
    }
}
