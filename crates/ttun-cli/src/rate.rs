//! Rates in bits per second, as people write them: `18 Mbit/s`.

use std::ops::RangeInclusive;

use ttun_core::QueueOptions;

const POSSIBLE: RangeInclusive<u64> = QueueOptions::LEAST_RATE..=QueueOptions::HIGHEST_RATE;

const HINT: &str = "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'";

/// Parses a number with a unit of SI: `18 Mbit/s`, `18mbit`, or `18 Mbps`, which are bits here, unlike in tc(8). Returns bits per second;
/// the error says what is possible.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let Some(rate) = bits_per_second(text) else {
        let with_unit = ["Mbit/s", "bit/s"].map(|unit| format!("{} {unit}", text.trim()));
        let is_possible = |text: &&String| bits_per_second(text).is_some_and(|rate| POSSIBLE.contains(&rate));
        let meant = with_unit.iter().find(is_possible);
        let hint = meant.map_or_else(|| HINT.to_owned(), |meant| format!("add a unit: '{meant}'"));
        return Err(format!("'{text}' is not a rate; {hint}"));
    };
    if rate < QueueOptions::LEAST_RATE {
        return Err(format!("{text} is too low a rate; {HINT}"));
    }
    if rate > QueueOptions::HIGHEST_RATE {
        return Err(format!("{text} is too high a rate; {HINT}"));
    }
    Ok(rate)
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
    let prefixes = [('k', 1e3), ('m', 1e6), ('g', 1e9), ('t', 1e12)];
    let scaled = |&(prefix, factor): &(char, f64)| Some((with_prefix.strip_suffix(prefix)?, factor));
    let (number, factor) = prefixes.iter().find_map(scaled).unwrap_or((with_prefix, 1.0));
    let number = number.strip_suffix(' ').unwrap_or(number);
    let is_decimal = number.ends_with(|c: char| c.is_ascii_digit())
        && !number.contains(|c: char| !c.is_ascii_digit() && c != '.');
    Some((is_decimal.then(|| number.parse::<f64>().ok())?? * factor).round() as u64)
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
            assert_eq!(parse_rate(text), Err(format!("{problem}; {HINT}")));
        }
        for (text, meant) in [("18", "18 Mbit/s"), ("18000000", "18000000 bit/s"), (" .1 ", ".1 Mbit/s")] {
            assert_eq!(parse_rate(text), Err(format!("'{text}' is not a rate; add a unit: '{meant}'")));
        }
    }
}
