//! Latencies in log-linear buckets of nanoseconds, as in ../../go/internal/load.
use std::time::Duration;

/// 128 steps for each power of two: a reading is off by less than 1 %.
const STEP_BITS: u32 = 7;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram { counts: vec![0; ((64 - STEP_BITS + 1) << STEP_BITS) as usize], total: 0 }
    }

    pub fn record(&mut self, latency: Duration) {
        self.counts[bucket_of(latency.as_nanos() as u64)] += 1;
        self.total += 1;
    }

    /// The upper edge, in ms, of the bucket in which `part` (0..1) of all readings is reached; 0 without readings.
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let rank = (part * self.total as f64) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > rank {
                return upper_edge(bucket as u64) as f64 / 1e6;
            }
        }
        0.0
    }
}

fn bucket_of(nanoseconds: u64) -> usize {
    let exponent = (64 - nanoseconds.leading_zeros()).saturating_sub(STEP_BITS + 1);
    ((exponent as u64) << STEP_BITS) as usize + (nanoseconds >> exponent) as usize
}

fn upper_edge(bucket: u64) -> u64 {
    if bucket < 2 << STEP_BITS {
        return bucket;
    }
    let exponent = (bucket >> STEP_BITS) - 1;
    let mantissa = bucket & ((1 << STEP_BITS) - 1) | 1 << STEP_BITS;
    ((mantissa + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_below_the_edge_of_its_bucket_and_above_that_of_the_bucket_before() {
        for value in (0..100_000).chain((1..40).map(|shift| (1u64 << shift) + 3)) {
            let bucket = bucket_of(value);
            assert!(value <= upper_edge(bucket as u64), "{value}");
            assert!(bucket == 0 || value > upper_edge(bucket as u64 - 1), "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::new();
        for milliseconds in 1..=1000 {
            histogram.record(Duration::from_millis(milliseconds));
        }
        assert!((histogram.quantile_ms(0.5) - 501.0).abs() < 5.1);
        assert!((histogram.quantile_ms(0.99) - 991.0).abs() < 10.0);
    }
}
