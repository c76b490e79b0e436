//! Times of busy polling, as people write them: `50us`.

use std::time::Duration;

use ttun_core::TunnelOptions;

const HINT: &str = "give a time from 1us to 1ms, such as '50us'";

const UNITS: [(&str, f64); 3] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];

/// Parses a number with a unit; the error says what is possible.
pub(crate) fn parse_polling_time(text: &str) -> Result<Duration, String> {
    let Some(seconds) = seconds(text) else {
        let hint = if number(text).is_some() { format!("add a unit: '{text}us'") } else { HINT.to_owned() };
        return Err(format!("'{text}' is not a duration; {hint}"));
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time < TunnelOptions::LEAST_BUSY_POLL => {
            Err(format!("{text} is too short a time; {HINT}"))
        }
        Ok(time) if time <= TunnelOptions::LONGEST_BUSY_POLL => Ok(time),
        _ => Err(format!("{text} is too long a time; {HINT}")),
    }
}

fn seconds(text: &str) -> Option<f64> {
    let (amount, factor) =
        UNITS.iter().find_map(|&(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number(amount.strip_suffix(' ').unwrap_or(amount))? * factor)
}

/// Digits, and perhaps a fraction.
fn number(text: &str) -> Option<f64> {
    let is_decimal = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && !text.contains(|c: char| !c.is_ascii_digit() && c != '.');
    if is_decimal { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for text in ["50us", "50 us", "0.05ms", "0.05 ms", "0.00005s"] {
            assert_eq!(parse_polling_time(text), Ok(Duration::from_micros(50)), "{text}");
        }
        assert_eq!(parse_polling_time("1us"), Ok(Duration::from_micros(1)));
        assert_eq!(parse_polling_time("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn other_texts_and_impossible_times_are_refused_with_what_is_possible() {
        for (text, problem) in [
            ("fast", "'fast' is not a duration"),
            ("", "'' is not a duration"),
            ("-1", "'-1' is not a duration"),
            ("-1us", "'-1us' is not a duration"),
            (".5us", "'.5us' is not a duration"),
            ("1e3us", "'1e3us' is not a duration"),
            ("us", "'us' is not a duration"),
            ("1.2.3us", "'1.2.3us' is not a duration"),
            ("0us", "0us is too short a time"),
            ("0.9us", "0.9us is too short a time"),
            ("1.1ms", "1.1ms is too long a time"),
            ("1s", "1s is too long a time"),
        ] {
            assert_eq!(parse_polling_time(text), Err(format!("{problem}; {HINT}")));
        }
        assert_eq!(parse_polling_time("50"), Err("'50' is not a duration; add a unit: '50us'".to_owned()));
    }
}
