//! Rules of UDP.

use super::{apart_if_both, apart_if_second, neighbours};
use crate::device::{BOTH, runs, write};
use crate::model::{Packet, Transport, all_kinds, udp_over_v4, udp_over_v6};

const UDP: fn() -> [Packet; 2] = || [udp_over_v4(), udp_over_v6()];

#[test]
fn udp_without_checksum() {
    for first in UDP() {
        let without = |packet: &mut Packet| {
            packet.transport = Transport::Udp { ports: [40_000, 5201], checksum: false }
        };
        apart_if_both(&first, without);
        apart_if_second(&first, without);
    }
}

#[test]
fn udp_that_is_shorter_than_its_packet() {
    for first in UDP() {
        let shorter = neighbours(&first).map(|packet| {
            let mut bytes = packet.bytes();
            // The sum over all of it stays the same, so nothing but the length tells.
            bytes[first.transport_start() + 5] -= 2;
            *bytes.last_mut().unwrap() += 2;
            bytes
        });
        assert_eq!(write(BOTH, &shorter).len(), 2);
    }
}

#[test]
fn udp_of_known_tunnels_in_either_direction() {
    for first in UDP() {
        for tunnel in [1701, 2152, 3544, 4341, 4754, 4789, 4790, 4791, 5247, 6080, 6081, 6635, 8472] {
            for tunnel_ports in [[40_000, tunnel], [tunnel, 40_000], [tunnel, tunnel]] {
                apart_if_both(&first, |packet| {
                    packet.transport = Transport::Udp { ports: tunnel_ports, checksum: true };
                });
            }
        }
    }
}

#[test]
fn udp_that_carries_ip_packets_on_any_port() {
    for first in UDP() {
        for inner in all_kinds() {
            apart_if_both(&first, |packet| packet.payload = inner.bytes());
            let outer = Packet { payload: inner.bytes(), ..first.clone() };
            assert_eq!(runs(&[outer.clone(), outer.followed_by(inner.bytes())]), [1, 1]);
        }
    }
}
