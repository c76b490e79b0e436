//! Quantities as people write them: rates, `18 Mbit/s`, and times of busy polling, `50us`.

use std::ops::RangeInclusive;
use std::time::Duration;

use ttun_core::{QueueOptions, TunnelOptions};

const RATES: RangeInclusive<u64> = QueueOptions::LEAST_RATE..=QueueOptions::HIGHEST_RATE;
const RATE_HINT: &str = "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'";

const POLLING_TIMES: RangeInclusive<Duration> =
    TunnelOptions::LEAST_BUSY_POLL..=TunnelOptions::LONGEST_BUSY_POLL;
const POLLING_TIME_HINT: &str = "give a time from 1us to 1ms, such as '50us'";

/// Parses a number with a unit of SI: `18 Mbit/s`, `18mbit`, or `18 Mbps`, which are bits here, unlike in tc(8). Returns bits per second;
/// the error says what is possible.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    match bits_per_second(text) {
        Some(rate) if RATES.contains(&rate) => Ok(rate),
        Some(rate) if rate < *RATES.start() => Err(format!("{text} is too low a rate; {RATE_HINT}")),
        Some(_) => Err(format!("{text} is too high a rate; {RATE_HINT}")),
        None => {
            let with_unit = ["Mbit/s", "bit/s"].map(|unit| format!("{} {unit}", text.trim()));
            let is_possible =
                |text: &&String| bits_per_second(text).is_some_and(|rate| RATES.contains(&rate));
            Err(match with_unit.iter().find(is_possible) {
                Some(meant) => without_unit(text, meant),
                None => format!("'{text}' is not a rate; {RATE_HINT}"),
            })
        }
    }
}

/// Parses a number with a unit; the error says what is possible.
pub(crate) fn parse_polling_time(text: &str) -> Result<Duration, String> {
    let Some(seconds) = in_units(text, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]) else {
        return Err(match decimal(text) {
            Some(_) => without_unit(text, &format!("{text}us")),
            None => format!("'{text}' is not a duration; {POLLING_TIME_HINT}"),
        });
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if POLLING_TIMES.contains(&time) => Ok(time),
        Ok(time) if time < *POLLING_TIMES.start() => {
            Err(format!("{text} is too short a time; {POLLING_TIME_HINT}"))
        }
        _ => Err(format!("{text} is too long a time; {POLLING_TIME_HINT}")),
    }
}

fn without_unit(text: &str, meant: &str) -> String {
    format!("'{text}' has no unit; write it as '{meant}'")
}

/// `None` if it is not a rate.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive, and casts saturate"
)]
fn bits_per_second(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let with_prefix = ["bit/s", "bit", "bps"].into_iter().find_map(|unit| text.strip_suffix(unit))?;
    let rate = in_units(with_prefix, &[("k", 1e3), ("m", 1e6), ("g", 1e9), ("t", 1e12), ("", 1.0)])?;
    Some(rate.round() as u64)
}

/// A number with the first of `units` that fits, times its factor.
fn in_units(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, factor) =
        units.iter().find_map(|&(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(decimal(number.strip_suffix(' ').unwrap_or(number))? * factor)
}

/// Digits, and perhaps a fraction.
fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.ends_with(|c: char| c.is_ascii_digit())
        && !text.contains(|c: char| !c.is_ascii_digit() && c != '.');
    if is_decimal { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_any_unit_of_bits_per_second() {
        for text in ["18 Mbit/s", "18mbit", "18 Mbps", "18000 kbit/s", ".018 Gbit/s", "18000000 bit/s"] {
            assert_eq!(parse_rate(text), Ok(18_000_000), "{text}");
        }
    }

    #[test]
    fn other_texts_and_impossible_rates_are_refused_with_what_is_possible() {
        for (text, problem) in [
            ("fast", "'fast' is not a rate"),
            ("", "'' is not a rate"),
            ("inf", "'inf' is not a rate"),
            ("0", "'0' is not a rate"),
            ("0.01", "'0.01' is not a rate"),
            ("1000000000000", "'1000000000000' is not a rate"),
            ("-5 Mbit/s", "'-5 Mbit/s' is not a rate"),
            ("1e3 Mbit/s", "'1e3 Mbit/s' is not a rate"),
            ("18 MB/s", "'18 MB/s' is not a rate"),
            ("0 bit/s", "0 bit/s is too low a rate"),
            ("1 bit/s", "1 bit/s is too low a rate"),
            ("10 Tbit/s", "10 Tbit/s is too high a rate"),
        ] {
            assert_eq!(parse_rate(text), Err(format!("{problem}; {RATE_HINT}")));
        }
        for (text, meant) in [("18", "18 Mbit/s"), ("18000000", "18000000 bit/s"), (" .1 ", ".1 Mbit/s")] {
            assert_eq!(parse_rate(text), Err(format!("'{text}' has no unit; write it as '{meant}'")));
        }
    }

    #[test]
    fn a_polling_time_has_a_unit() {
        for text in ["50us", "50 us", "0.05ms", "0.05 ms", ".05 ms", "0.00005s"] {
            assert_eq!(parse_polling_time(text), Ok(Duration::from_micros(50)), "{text}");
        }
        assert_eq!(parse_polling_time("1us"), Ok(Duration::from_micros(1)));
        assert_eq!(parse_polling_time("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn other_texts_and_impossible_polling_times_are_refused_with_what_is_possible() {
        for (text, problem) in [
            ("fast", "'fast' is not a duration"),
            ("", "'' is not a duration"),
            ("-1", "'-1' is not a duration"),
            ("-1us", "'-1us' is not a duration"),
            ("1e3us", "'1e3us' is not a duration"),
            ("us", "'us' is not a duration"),
            ("1.2.3us", "'1.2.3us' is not a duration"),
            ("0us", "0us is too short a time"),
            (".5us", ".5us is too short a time"),
            ("0.9us", "0.9us is too short a time"),
            ("1.1ms", "1.1ms is too long a time"),
            ("1s", "1s is too long a time"),
        ] {
            assert_eq!(parse_polling_time(text), Err(format!("{problem}; {POLLING_TIME_HINT}")));
        }
        assert_eq!(parse_polling_time("50"), Err("'50' has no unit; write it as '50us'".to_owned()));
    }
}
