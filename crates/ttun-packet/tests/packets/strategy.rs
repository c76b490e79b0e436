//! Random packets for property tests.

use proptest::prelude::*;

use crate::model::{DF, Ip, Packet, Transport};

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
