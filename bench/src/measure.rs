//! Measuring on one thread, and what is said of many measurements.

use std::time::{Duration, Instant};

/// How often a second the work is done: the median of some rounds, after one
/// that warms up. `work` does one unit and is given its number.
pub fn per_second(mut work: impl FnMut(usize)) -> f64 {
    const ROUNDS: usize = 7;
    const ROUND: Duration = Duration::from_millis(300);
    let mut rates: Vec<f64> = (0..=ROUNDS).map(|_| one_round(&mut work, ROUND)).skip(1).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn one_round(work: &mut impl FnMut(usize), least: Duration) -> f64 {
    let start = Instant::now();
    let mut done = 0;
    loop {
        // The clock is read once a batch, so that reading it is not measured.
        for _ in 0..32 {
            work(done);
            done += 1;
        }
        let taken = start.elapsed();
        if taken >= least {
            return done as f64 / taken.as_secs_f64();
        }
    }
}

/// How long many of the same took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
}

impl Spread {
    /// In milliseconds, by the nearest rank; nothing of nothing.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut times: Vec<f64> =
            times.into_iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
        times.sort_by(f64::total_cmp);
        let rank = |share: f64| (share * times.len() as f64).ceil() as usize;
        let at = |share| times.get(rank(share).checked_sub(1)?).copied();
        Some(Self { p50: at(0.50)?, p99: at(0.99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements_by_the_nearest_rank() {
        let of =
            |range: std::ops::RangeInclusive<u64>| Spread::of(range.map(Duration::from_millis));
        assert_eq!(of(1..=100), Some(Spread { p50: 50.0, p99: 99.0 }));
        assert_eq!(of(1..=1_000), Some(Spread { p50: 500.0, p99: 990.0 }));
        assert_eq!(of(7..=7), Some(Spread { p50: 7.0, p99: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
