//! Random packets and random traffic for property tests.
#![expect(clippy::wildcard_enum_match_arm, reason = "a header that has no field for a change is left alone")]

use proptest::prelude::*;

use crate::model::{self, ACK, DF, Ip, PSH, Packet, Transport, all_kinds};

pub(crate) fn payload(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), len)
}

/// Any packet that can be cut: with options, extension headers and any flags.
pub(crate) fn super_packet() -> impl Strategy<Value = Packet> {
    (prop_oneof![any_v4(), any_v6()], prop_oneof![any_tcp(), any_udp()], payload(0..3000))
        .prop_map(|(ip, transport, payload)| Packet { ip, transport, payload, checksum_error: 0 })
}

fn any_v4() -> BoxedStrategy<Ip> {
    let options = (0..=10_usize).prop_map(|words| vec![1; words * 4]);
    (any::<(u8, u16, u8)>(), prop::sample::select(vec![0, DF, 0x8000]), any::<([u8; 4], [u8; 4])>(), options)
        .prop_map(|((tos, id, ttl), flags_and_offset, (source, destination), options)| Ip::V4 {
            tos,
            id,
            flags_and_offset,
            ttl,
            source,
            destination,
            options,
            checksum_error: 0,
            final_destination: None,
        })
        .boxed()
}

fn any_v6() -> BoxedStrategy<Ip> {
    let extension = (prop::sample::select(vec![0_u8, 43, 60]), 0..3_usize).prop_map(|(number, words)| {
        let mut bytes = vec![0; 8 + words * 8];
        bytes[1] = words as u8;
        (number, bytes)
    });
    (
        any::<(u8, u8)>(),
        0..0x10_0000_u32,
        any::<([u8; 16], [u8; 16])>(),
        prop::collection::vec(extension, 0..4),
    )
        .prop_map(|((traffic_class, hop_limit), flow_label, (source, destination), extensions)| Ip::V6 {
            traffic_class,
            flow_label,
            hop_limit,
            source,
            destination,
            extensions,
            final_destination: None,
        })
        .boxed()
}

fn any_tcp() -> BoxedStrategy<Transport> {
    let sequence = prop_oneof![any::<u32>(), (0..2000_u32).prop_map(|before| u32::MAX - before)];
    let options = (0..=10_usize).prop_flat_map(|words| prop::collection::vec(any::<u8>(), words * 4));
    (any::<[u16; 2]>(), sequence, any::<(u32, u8, u16, u16)>(), 0..16_u8, options)
        .prop_map(|(ports, sequence, (acknowledgement, flags, window, urgent), reserved, options)| {
            Transport::Tcp { ports, sequence, acknowledgement, reserved, flags, window, urgent, options }
        })
        .boxed()
}

fn any_udp() -> BoxedStrategy<Transport> {
    any::<[u16; 2]>().prop_map(|ports| Transport::Udp { ports, checksum: true }).boxed()
}

/// How a packet differs from what would continue the one before.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Length(usize),
    Flags(u8),
    Sequence(i32),
    Acknowledgement,
    Window,
    Urgent,
    Reserved,
    TcpOption,
    Ports([u16; 2]),
    Checksum(u16),
    NoChecksum,
    Class(u8),
    Hops,
    Label,
    Address,
    Id(i16),
    IpFlags(u16),
    IpChecksum(u16),
    IpOptions,
    OtherFlow(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        40 => Just(Change::None),
        6 => prop::sample::select(vec![0, 1, 2, 99, 100, 101, 1400, 20_000]).prop_map(Change::Length),
        4 => prop_oneof![Just(ACK), Just(ACK | PSH), any::<u8>()].prop_map(Change::Flags),
        2 => (-101..101).prop_map(Change::Sequence),
        1 => Just(Change::Acknowledgement),
        1 => Just(Change::Window),
        1 => Just(Change::Urgent),
        1 => Just(Change::Reserved),
        1 => Just(Change::TcpOption),
        1 => prop_oneof![Just([1, 2]), Just([1, 4789]), Just([8472, 1])].prop_map(Change::Ports),
        2 => (1..=u16::MAX).prop_map(Change::Checksum),
        1 => Just(Change::NoChecksum),
        1 => any::<u8>().prop_map(Change::Class),
        1 => Just(Change::Hops),
        1 => Just(Change::Label),
        1 => Just(Change::Address),
        2 => (-2..2_i16).prop_map(Change::Id),
        2 => prop::sample::select(vec![0, DF, DF, DF, 0x8000, 0x2000, 0x0010]).prop_map(Change::IpFlags),
        1 => (1..=u16::MAX).prop_map(Change::IpChecksum),
        1 => Just(Change::IpOptions),
        1 => (0..4_usize).prop_map(Change::OtherFlow),
    ]
}

fn apply(change: Change, packet: &mut Packet) {
    match change {
        Change::Length(len) => packet.payload = model::payload(len),
        Change::Checksum(error) => packet.checksum_error = error,
        Change::OtherFlow(kind) => *packet = all_kinds()[kind].clone(),
        _ => {
            apply_to_ip(change, &mut packet.ip);
            apply_to_transport(change, &mut packet.transport);
        }
    }
}

fn apply_to_ip(change: Change, ip: &mut Ip) {
    match ip {
        Ip::V4 { tos, id, flags_and_offset, ttl, source, options, checksum_error, .. } => match change {
            Change::Class(class) => *tos = class,
            Change::Hops => *ttl ^= 1,
            Change::Address => source[3] ^= 1,
            Change::Id(step) => *id = id.wrapping_add_signed(step),
            Change::IpFlags(flags) => *flags_and_offset = flags,
            Change::IpChecksum(error) => *checksum_error = error,
            Change::IpOptions => *options = vec![1; 4 - options.len()],
            _ => {}
        },
        Ip::V6 { traffic_class, flow_label, hop_limit, destination, extensions, .. } => match change {
            Change::Class(class) => *traffic_class = class,
            Change::Label => *flow_label ^= 1,
            Change::Hops => *hop_limit ^= 1,
            Change::Address => destination[15] ^= 1,
            Change::IpOptions if extensions.is_empty() => extensions.push((60, vec![0; 8])),
            Change::IpOptions => extensions.clear(),
            _ => {}
        },
    }
}

fn apply_to_transport(change: Change, transport: &mut Transport) {
    match transport {
        Transport::Tcp { ports, sequence, acknowledgement, reserved, flags, window, urgent, options } => {
            match change {
                Change::Flags(new) => *flags = new,
                Change::Sequence(step) => *sequence = sequence.wrapping_add_signed(step),
                Change::Acknowledgement => *acknowledgement ^= 1,
                Change::Window => *window ^= 1,
                Change::Urgent => *urgent ^= 1,
                Change::Reserved => *reserved ^= 1,
                Change::TcpOption if options.len() == 12 => options[11] ^= 1,
                Change::Ports(new) => *ports = new,
                _ => {}
            }
        }
        Transport::Udp { ports, checksum } => match change {
            Change::Ports(new) => *ports = new,
            Change::NoChecksum => *checksum = !*checksum,
            _ => {}
        },
    }
}

/// Packets of which each mostly continues the one before.
pub(crate) fn traffic() -> impl Strategy<Value = Vec<Packet>> {
    (0..4_usize, prop::sample::select(vec![1, 100, 1400]), prop::collection::vec(change(), 1..40)).prop_map(
        |(kind, len, changes)| {
            let mut packets = vec![Packet { payload: model::payload(len), ..all_kinds()[kind].clone() }];
            for change in changes {
                let before = &packets[packets.len() - 1];
                // Changes last, but for a wrong checksum and flags.
                let mut next = before.followed_by(before.payload.clone());
                next.checksum_error = 0;
                if let Ip::V4 { checksum_error, .. } = &mut next.ip {
                    *checksum_error = 0;
                }
                if let Transport::Tcp { flags, .. } = &mut next.transport {
                    *flags = ACK;
                }
                apply(change, &mut next);
                packets.push(next);
            }
            packets
        },
    )
}
