//! Histograms of durations that cost a request two additions, and no lock of the bus. The price is that a scrape may see a
//! request in its bucket before it sees it in the sum.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Metric, MetricVec, MetricVecBuilder};
use prometheus::proto::{Bucket, Histogram, Metric as Sample};
use prometheus::{Error, Opts};

use super::series::Series;

/// Upper bounds: from a proxy's own work to the longest default timeout.
const BOUNDS_US: [u64; 15] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// A family of such histograms.
pub(super) type DurationsVec = MetricVec<Builder>;

/// One series; clones count together.
#[derive(Clone)]
pub struct Durations(Arc<Series<SUMS>>);

/// How many fell under each bound and over the one before it, how many over all of them, and the sum in nanoseconds.
const SUMS: usize = BOUNDS_US.len() + 2;
/// Where the last two are.
const OVER: usize = BOUNDS_US.len();
const SUM_NS: usize = OVER + 1;

impl Durations {
    /// Counts one.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.iter().position(|bound| nanos <= bound * 1000).unwrap_or(OVER);
        self.0.sums.add([(at, 1), (SUM_NS, nanos)]);
    }
}

impl Metric for Durations {
    fn metric(&self) -> Sample {
        let sums = self.0.sums.sums();
        let [.., over, sum_ns] = sums;
        let mut count = 0;
        let bucket = |(bound, counted): (&u64, &u64)| {
            count += counted;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(Duration::from_micros(*bound).as_secs_f64());
            bucket.set_cumulative_count(count);
            bucket
        };
        let buckets = BOUNDS_US.iter().zip(&sums).map(bucket).collect();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count + over);
        histogram.set_sample_sum(Duration::from_nanos(sum_ns).as_secs_f64());
        let mut sample = self.0.sample();
        sample.set_histogram(histogram);
        sample
    }
}

/// Makes the series of a family.
#[derive(Clone)]
pub struct Builder;

impl MetricVecBuilder for Builder {
    type M = Durations;
    type P = Opts;

    fn build<V: AsRef<str>>(&self, family: &Opts, values: &[V]) -> Result<Durations, Error> {
        Series::new(family, values).map(Durations)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::MetricType;
    use prometheus::{Registry, TextEncoder};

    use super::super::series::family;
    use super::*;

    #[test]
    fn counts_each_under_the_bounds_that_it_does_not_exceed() {
        let registry = Registry::new();
        let family = family(MetricType::HISTOGRAM, Builder, ("t_seconds", "Time."), &["route", "a"]).unwrap();
        registry.register(Box::new(family.clone())).unwrap();
        let series = family.with_label_values(&["x", "y"]);
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            series.observe(Duration::from_micros(micros));
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "# TYPE t_seconds histogram",
            "t_seconds_bucket{a=\"y\",route=\"x\",le=\"0.0005\"} 2",
            "t_seconds_bucket{a=\"y\",route=\"x\",le=\"0.001\"} 3",
            "t_seconds_bucket{a=\"y\",route=\"x\",le=\"10\"} 3",
            "t_seconds_bucket{a=\"y\",route=\"x\",le=\"30\"} 4",
            "t_seconds_bucket{a=\"y\",route=\"x\",le=\"+Inf\"} 5",
            "t_seconds_sum{a=\"y\",route=\"x\"} 60.001002",
            "t_seconds_count{a=\"y\",route=\"x\"} 5",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} in {text}");
        }
    }
}
