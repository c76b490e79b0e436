//! Narrowing down a size, several sizes at a time.

/// What is known of the largest size that passes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bisection {
    /// This passes.
    low: usize,
    /// Nothing larger does.
    high: usize,
}

impl Bisection {
    /// `low` passes, and nothing larger than `high`.
    pub(super) fn new(low: usize, high: usize) -> Self {
        Self { low, high: high.max(low) }
    }

    /// The largest size that is known to pass.
    pub(super) fn passes(&self) -> usize {
        self.low
    }

    /// Up to `count` sizes to try next, the largest first; `None` when the result is known.
    pub(super) fn sizes(&self, count: usize) -> Option<Vec<usize>> {
        let range = self.high - self.low;
        let count = count.min(range);
        (count > 0).then(|| (1..=count).rev().map(|number| self.low + range * number / count).collect())
    }

    /// Of `tried`, the largest first, `passed` have passed.
    pub(super) fn note(&mut self, tried: &[usize], passed: &[usize]) {
        self.low = passed.iter().copied().fold(self.low, usize::max);
        let failed = tried.iter().copied().filter(|size| *size > self.low).min();
        self.high = failed.map_or(self.high, |failed| failed - 1).max(self.low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result on a path of `mtu` bytes, and how often sizes were tried.
    fn search(low: usize, high: usize, mtu: usize, count: usize) -> (usize, usize) {
        let mut bisection = Bisection::new(low, high);
        let mut rounds = 0;
        while let Some(sizes) = bisection.sizes(count) {
            assert!(sizes.is_sorted_by(|larger, smaller| larger > smaller) && sizes.len() <= count);
            let passed: Vec<_> = sizes.iter().copied().filter(|size| *size <= mtu).collect();
            bisection.note(&sizes, &passed);
            rounds += 1;
        }
        (bisection.passes(), rounds)
    }

    #[test]
    fn every_mtu_is_found_exactly_in_a_few_rounds() {
        for mtu in 1280..=1500 {
            let (found, rounds) = search(1280, 1500, mtu, 12);
            assert!(found == mtu && rounds <= 3, "{mtu}: {found} after {rounds}");
        }
        for mtu in (576..=9000).step_by(7) {
            let (found, rounds) = search(576, 9000, mtu, 12);
            assert!(found == mtu && rounds <= 4, "{mtu}: {found} after {rounds}");
        }
        assert_eq!(search(1280, 1500, 1500, 6), (1500, 1), "all at once");
        assert_eq!(search(1280, 1280, 1500, 6), (1280, 0));
        assert_eq!(search(1400, 1280, 1500, 6), (1400, 0));
    }

    #[test]
    fn a_size_that_passes_counts_although_a_smaller_one_was_lost() {
        let mut bisection = Bisection::new(1000, 1400);
        bisection.note(&[1400, 1300, 1200, 1100], &[1300, 1100]);
        assert_eq!(bisection, Bisection { low: 1300, high: 1399 });
        bisection.note(&[1399, 1366, 1333], &[]);
        assert_eq!(bisection, Bisection { low: 1300, high: 1332 });
    }
}
