//! The part of the table about the probe.

use std::net::IpAddr;

use super::table::{Kind, Stat, values};

use Kind::{Bucket, Counter as Count, GaugeIfKnown, Section, TextIfKnown};

values! {
    /// The probe: echo requests to an address in the tunnel, whose replies are taken out of the stream. Neither are in the statistics of
    /// the two directions. All values are 0 or absent without a probe. Those of the window are of the last 60 s, or of the last 20 probes
    /// if these are more; a probe is lost when it is not answered within 3 s.
    #[derive(Default)]
    ProbeStats at "probe." {
        /// The address that is probed; absent without a probe.
        address: Option<IpAddr> => TextIfKnown;
        /// The source of the probes; absent while the device has no address of that family.
        source: Option<IpAddr> => TextIfKnown;
        /// Time between two probes; absent without a probe.
        interval_ms: Option<f64> => GaugeIfKnown(|stats| stats.probe.interval_ms), unit: "ms", metric: "ttun_probe_interval_seconds";
        /// Probes sent, or refused by the kernel; `socket.errors` has the errors. Each is received, lost, or still awaited.
        sent: u64 => Count(|stats| stats.probe.sent), unit: "probes", metric: "ttun_probe_sent_total";
        /// Probes that were answered.
        received: u64 => Count(|stats| stats.probe.received), unit: "probes", metric: "ttun_probe_received_total";
        /// Probes that were not answered within 3 s.
        lost: u64 => Count(|stats| stats.probe.lost), unit: "probes", metric: "ttun_probe_lost_total";
        /// Replies that came later than that, or once more.
        late: u64 => Count(|stats| stats.probe.late), unit: "replies", label: "late or duplicate probe replies",
            metric: "ttun_probe_late_replies_total";
        /// Other echo requests, sent to measure the path; not counted in `sent`.
        measurements: u64 => Count(|stats| stats.probe.measurements), unit: "requests", label: "echo requests to measure the path",
            metric: "ttun_probe_measurements_total";
        /// When the last probe was answered; absent before the first answer.
        last_at: Option<f64> => GaugeIfKnown(|stats| stats.probe.last_at), unit: "ms since the epoch",
            metric: "ttun_probe_last_answer_timestamp_seconds";
        /// Lost probes of the window as a part of those that are answered or lost, from 0 to 1.
        loss: Option<f64> => GaugeIfKnown(|stats| stats.probe.loss), unit: "ratio", metric: "ttun_probe_loss_ratio";
        /// Jitter of the round-trip times: the estimate of RFC 3550 section 6.4.1 over the answers so far, with the round-trip time in place
        /// of the transit time. Absent before the second answer, and while no probe of the window is answered.
        jitter_ms: Option<f64> => GaugeIfKnown(|stats| stats.probe.jitter_ms), unit: "ms", metric: "ttun_probe_jitter_seconds";
        /// Round-trip times of the window. Percentiles are exact, by the nearest rank.
        rtt_ms: RttStats => Section;
        /// Sum of the round-trip times of all answers.
        rtt_sum: u64 => Count(|stats| stats.probe.rtt_sum), unit: "us", metric: "-";
        /// Answers whose round-trip time was at most this long, since the tunnel was opened; all answers are in `received`.
        buckets: [u64; PROBE_BOUNDS_NS.len()] => Section;
    }
}

values! {
    /// Round-trip times.
    #[derive(Copy, Default)]
    RttStats at "probe.rtt_ms." {
        /// The last one.
        last: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.last), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"last\"}";
        /// The shortest.
        min: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.min), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"min\"}";
        /// The arithmetic mean.
        mean: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.mean), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"mean\"}";
        /// The median.
        p50: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.p50), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"p50\"}";
        /// The 99th percentile.
        p99: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.p99), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"p99\"}";
        /// The longest.
        max: Option<f64> => GaugeIfKnown(|stats| stats.probe.rtt_ms.max), unit: "ms",
            metric: "ttun_probe_window_rtt_seconds{statistic=\"max\"}";
    }
}

/// The bounds of the buckets, and their part of the table, from lines of index, bound in ns, name, and bound in seconds.
macro_rules! buckets {
    ($( $index:literal: $bound_ns:literal, $name:literal, $seconds:literal; )+) => {
        /// Upper bounds of the buckets of round-trip times, ns.
        pub const PROBE_BOUNDS_NS: [u64; [$($bound_ns),+].len()] = [$($bound_ns),+];

        pub(super) const BUCKETS: &[Stat] = &[$(Stat {
            unit: "probes",
            metric: concat!("ttun_probe_rtt_seconds_bucket{le=\"", $seconds, "\"}"),
            ..Stat::new(
                concat!("probe.buckets.", $name),
                Bucket(|stats| stats.probe.buckets[$index]),
                concat!("At most ", $name, "."),
            )
        },)+];
    };
}

buckets! {
    0: 100_000, "100us", "0.0001";
    1: 200_000, "200us", "0.0002";
    2: 500_000, "500us", "0.0005";
    3: 1_000_000, "1ms", "0.001";
    4: 2_000_000, "2ms", "0.002";
    5: 5_000_000, "5ms", "0.005";
    6: 10_000_000, "10ms", "0.01";
    7: 20_000_000, "20ms", "0.02";
    8: 50_000_000, "50ms", "0.05";
    9: 100_000_000, "100ms", "0.1";
    10: 200_000_000, "200ms", "0.2";
    11: 500_000_000, "500ms", "0.5";
    12: 1_000_000_000, "1s", "1";
    13: 2_000_000_000, "2s", "2";
}
