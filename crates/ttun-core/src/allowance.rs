//! A limit on how often something rare may happen: ten times in a row, and then once every three seconds.

use std::time::{Duration, Instant};

/// Ten uses are available at first; one more becomes available every three seconds, up to ten.
#[derive(Default)]
pub(crate) struct Allowance {
    /// When all will be available again.
    full_at: Option<Instant>,
}

impl Allowance {
    const IN_A_ROW: u32 = 10;
    const EACH: Duration = Duration::from_secs(3);

    /// When the next is available, if none is at `now`.
    pub(crate) fn exhausted_until(&self, now: Instant) -> Option<Instant> {
        let full_at = self.full_at?;
        let available_at = full_at.checked_sub(Self::EACH * (Self::IN_A_ROW - 1))?;
        (available_at > now).then_some(available_at)
    }

    pub(crate) fn use_at(&mut self, now: Instant) {
        self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + Self::EACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_uses_in_a_row_and_then_one_every_three_seconds() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(allowance.exhausted_until(start), None);
            allowance.use_at(start);
        }
        let next = start + Duration::from_secs(3);
        assert_eq!(allowance.exhausted_until(start), Some(next));
        assert_eq!(allowance.exhausted_until(next), None);
        allowance.use_at(next);
        assert_eq!(allowance.exhausted_until(next), Some(next + Duration::from_secs(3)));
        assert_eq!(allowance.exhausted_until(start + Duration::from_secs(60)), None);
    }
}
