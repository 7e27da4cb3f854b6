//! Measuring on one thread.

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
