//! Histograms of durations that cost a request two additions, where those of `prometheus` take four and a search among
//! floats. The price is that a scrape may see a request in its bucket before it sees it in the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::core::{Describer, Metric, MetricVec, MetricVecBuilder};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric as Sample, MetricType};
use prometheus::{Error, Opts};

/// Upper bounds: from a proxy's own work to the longest default timeout.
const BOUNDS_US: [u64; 15] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// A family of such histograms.
pub(super) type DurationsVec = MetricVec<Builder>;

/// One series; clones count together.
#[derive(Clone)]
pub struct Durations(Arc<Cells>);

struct Cells {
    labels: Vec<LabelPair>,
    /// How many fell under each bound and over the one before it; the last is for what is over all of them.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.iter().position(|bound| nanos <= bound * 1000).unwrap_or(BOUNDS_US.len());
        if let Some(count) = self.0.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum_ns.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Metric for Durations {
    fn metric(&self) -> Sample {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len());
        let bounds = BOUNDS_US.iter().map(|bound| Some(Duration::from_micros(*bound).as_secs_f64()));
        for (cell, bound) in self.0.counts.iter().zip(bounds.chain([None])) {
            count += cell.load(Ordering::Relaxed);
            if let Some(bound) = bound {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                bucket.set_cumulative_count(count);
                buckets.push(bucket);
            }
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count);
        histogram.set_sample_sum(Duration::from_nanos(self.0.sum_ns.load(Ordering::Relaxed)).as_secs_f64());
        let mut sample = Sample::from_label(self.0.labels.clone());
        sample.set_histogram(histogram);
        sample
    }
}

/// Makes the series of a family.
#[derive(Clone)]
pub struct Builder;

impl Builder {
    pub(super) fn family(name: &str, help: &str, labels: &[&str]) -> Result<DurationsVec, Error> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        MetricVec::create(MetricType::HISTOGRAM, Self, Opts::new(name, help).variable_labels(labels))
    }
}

impl MetricVecBuilder for Builder {
    type M = Durations;
    type P = Opts;

    fn build<V: AsRef<str>>(&self, options: &Opts, values: &[V]) -> Result<Durations, Error> {
        let names = options.describe()?.variable_labels;
        let pair = |(name, value): (String, &V)| {
            let mut pair = LabelPair::default();
            pair.set_name(name);
            pair.set_value(value.as_ref().to_owned());
            pair
        };
        let mut labels: Vec<_> = names.into_iter().zip(values).map(pair).collect();
        labels.sort();
        Ok(Durations(Arc::new(Cells {
            labels,
            counts: [const { AtomicU64::new(0) }; BOUNDS_US.len() + 1],
            sum_ns: AtomicU64::new(0),
        })))
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn counts_each_under_the_bounds_that_it_does_not_exceed() {
        let registry = Registry::new();
        let family = Builder::family("t_seconds", "Time.", &["route", "a"]).unwrap();
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
