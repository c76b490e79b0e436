//! The queue against an oracle, with a simulated clock, and the properties that people rely on.

mod oracle;

use std::collections::HashMap;

use oracle::{Oracle, Packet};
use proptest::prelude::*;
use ttun_queue::{FlowQueue, Limits, Parcel};

/// Packets with consecutive numbers.
#[derive(Clone, Debug)]
struct Numbered {
    first: usize,
    packets: usize,
    len: usize,
    /// Length of the last one.
    last: usize,
    ecn: bool,
}

impl Parcel for Numbered {
    fn packets(&self) -> usize {
        self.packets
    }

    fn packet_len(&self, index: usize) -> usize {
        if index + 1 == self.packets { self.last } else { self.len }
    }

    fn memory(&self) -> usize {
        self.packets * self.len
    }

    fn is_ecn_capable(&self) -> bool {
        self.ecn
    }
}

const ROOMY: Limits = Limits { memory: usize::MAX, parcels: usize::MAX };

fn packets(first: usize, packets: usize, len: usize) -> Numbered {
    Numbered { first, packets, len, last: len, ecn: false }
}

#[derive(Clone, Debug)]
enum Step {
    Push { flow: u64, packets: usize, len: usize, last: usize, ecn: bool },
    Pop { most: usize },
    Wait { us: u32 },
}

/// Hashes whose difference is a multiple of this have the same queues to choose from: eight.
const SET: u64 = 512;

/// Steps of this many flows, which choose from the same queues.
fn steps(flows: u64) -> impl Strategy<Value = Vec<Step>> {
    let push = (0..flows, prop_oneof![4 => Just(1_usize), 1 => 2..45_usize], 40..1500_usize, 1..100_usize)
        .prop_map(|(flow, packets, len, percent)| Step::Push {
            flow,
            packets,
            len,
            last: if packets == 1 { len } else { (len * percent / 100).max(40) },
            ecn: flow % 3 == 0,
        });
    let pop = (1..8_usize).prop_map(|most| Step::Pop { most });
    let wait = prop_oneof![1..3000_u32, 3000..60_000_u32].prop_map(|us| Step::Wait { us });
    prop::collection::vec(prop_oneof![5 => push, 5 => pop, 3 => wait], 1..400)
}

/// What came out, by number and mark; and the numbers of everything that went in, by flow.
struct Trace {
    popped: Vec<(usize, bool)>,
    flow_of: HashMap<usize, u64>,
    queue: FlowQueue<Numbered>,
}

fn run(steps: &[Step], limits: Limits, mut oracle: Option<&mut Oracle>) -> Trace {
    let mut queue = FlowQueue::new(limits);
    let (mut now, mut next) = (1_u32, 0);
    let (mut popped, mut flow_of) = (Vec::new(), HashMap::new());
    for step in steps {
        match *step {
            Step::Push { flow, packets, len, last, ecn } => {
                let parcel = Numbered { first: next, packets, len, last, ecn };
                for index in 0..packets {
                    let (id, len) = (next + index, parcel.packet_len(index));
                    flow_of.insert(id, flow);
                    if let Some(oracle) = oracle.as_mut() {
                        oracle.push(Packet { id, len, ecn, enqueued: now.into() }, flow);
                    }
                }
                queue.push(parcel, flow * SET, now.into());
                next += packets;
            }
            Step::Pop { most } => {
                for turn in 0..most {
                    if turn % 2 == 1 {
                        assert_eq!(queue.pop(now.into(), |_| None::<()>), None, "refused");
                    }
                    let taken =
                        queue.pop(now.into(), |taken| Some((taken.parcel.first + taken.index, taken.mark)));
                    if let Some(oracle) = oracle.as_mut() {
                        assert_eq!(taken, oracle.pop(now.into()), "after {} packets", popped.len());
                    }
                    popped.extend(taken);
                }
            }
            Step::Wait { us } => now += us,
        }
    }
    Trace { popped, flow_of, queue }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_rfcs_say(steps in steps(6)) {
        let mut oracle = Oracle::default();
        let trace = run(&steps, ROOMY, Some(&mut oracle));
        prop_assert_eq!(trace.queue.totals().dropped, oracle.dropped.len());
    }

    #[test]
    fn no_flow_is_reordered_and_nothing_is_lost_uncounted(
        steps in prop_oneof![steps(6), steps(30)],
        memory in 2_000..200_000_usize,
        parcels in 1..60_usize,
    ) {
        let Trace { popped, flow_of, queue } = run(&steps, Limits { memory, parcels }, None);
        let mut last = HashMap::new();
        for (id, _) in &popped {
            if let Some(before) = last.insert(flow_of[id], *id) {
                prop_assert!(before < *id, "{id} after {before}");
            }
        }
        let totals = queue.totals();
        let gone = popped.len() + totals.dropped + totals.overflowed;
        prop_assert_eq!(gone + queue.packets(), flow_of.len());
        prop_assert_eq!(popped.iter().filter(|(_, mark)| *mark).count(), totals.marked);
    }
}

#[test]
fn flows_that_always_have_packets_send_the_same_number_of_bytes() {
    let mut queue = FlowQueue::new(ROOMY);
    // Super-packets, small packets, full packets.
    let kinds = [(0, 44, 1448), (1, 1, 80), (2, 1, 1472)];
    for (flow, count, len) in kinds {
        for _ in 0..2_000_000 / (count * len) {
            queue.push(packets(0, count, len), flow, 0);
        }
    }
    let mut sent = [0_usize; 3];
    for _ in 0..5000 {
        let len = queue.pop(0, |taken| Some(taken.parcel.packet_len(taken.index))).unwrap();
        sent[kinds.iter().position(|kind| kind.2 == len).unwrap()] += len;
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least <= 2 * 1514, "{sent:?}");
    }
}

#[test]
fn a_flow_without_a_queue_of_its_own_comes_first() {
    let mut queue = FlowQueue::new(ROOMY);
    for flow in 0..20 {
        for _ in 0..50 {
            queue.push(packets(0, 44, 1448), flow, 0);
        }
    }
    for number in 1..50 {
        // More than a round of the other flows.
        for _ in 0..50 {
            queue.pop(0, |_| Some(())).unwrap();
        }
        queue.push(packets(number, 1, 84), 500, 0);
        assert_eq!(queue.pop(0, |taken| Some(taken.parcel.first)), Some(number));
    }
}

#[test]
fn nearly_every_one_of_a_thousand_flows_has_a_queue_of_its_own() {
    let mut queue = FlowQueue::new(ROOMY);
    // As a random function would choose them.
    let hash = |flow: u64| flow.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_right(29);
    for number in 0..3 {
        for flow in 0..1000 {
            queue.push(packets(flow, 1, 1514), hash(flow as u64), number);
        }
    }
    // In a round each flow that has a queue to itself sends one packet.
    let mut round: Vec<_> =
        (0..1000).filter_map(|_| queue.pop(3, |taken| Some(taken.parcel.first))).collect();
    round.sort_unstable();
    round.dedup();
    assert!(round.len() > 990, "{} flows", round.len());
}

#[test]
fn memory_is_bounded_and_the_longest_queue_pays() {
    let limits = Limits { memory: 1 << 20, parcels: 2000 };
    let mut queue = FlowQueue::new(limits);
    queue.push(packets(7, 1, 84), 1, 0);
    let mut lost = 0;
    for _ in 0..10_000 {
        lost += queue.push(packets(0, 1, 1400), 2, 0);
        assert!(queue.bytes() <= limits.memory);
    }
    assert!(lost > 9000, "{lost}");
    assert_eq!(queue.totals().overflowed, lost);
    // A single byte of payload needs more memory for its place than for itself.
    for _ in 0..10_000 {
        queue.push(packets(0, 1, 21), 3, 0);
    }
    assert!(queue.packets() <= limits.parcels);
    let first = (0..10).filter_map(|_| queue.pop(0, |taken| Some(taken.parcel.first)));
    assert!(first.into_iter().any(|first| first == 7), "the short flow has lost nothing");
}

#[test]
fn a_sender_that_reacts_keeps_the_delay_near_the_target() {
    // One packet of 1,500 bytes leaves each millisecond, and a window that grows by one packet a round, and is halved by a mark, fills it.
    let mut queue = FlowQueue::new(ROOMY);
    let (mut window, mut acked, mut in_flight) = (10.0_f64, 0.0, 0_u32);
    let mut delays = Vec::new();
    for ms in 0..60_000_u64 {
        while f64::from(in_flight) < window {
            queue.push(Numbered { ecn: true, ..packets(0, 1, 1500) }, 1, ms * 1000);
            in_flight += 1;
        }
        let Some((mark, sojourn)) = queue.pop(ms * 1000, |taken| Some((taken.mark, taken.sojourn_us))) else {
            continue;
        };
        in_flight -= 1;
        delays.push(sojourn);
        acked += 1.0;
        if mark {
            window = (window * 0.7).max(2.0);
        } else if acked >= window {
            (window, acked) = (window + 1.0, 0.0);
        }
    }
    let mut settled = delays.split_off(20_000);
    settled.sort_unstable();
    let (median, most) = (settled[settled.len() / 2], settled[settled.len() - 1]);
    assert!(median < 12_000, "median {median} µs");
    assert!(most < 60_000, "most {most} µs");
}
