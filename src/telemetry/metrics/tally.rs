//! Counters, and gauges that only go up and down by steps, for what requests count: see [`Shards`].

use std::sync::Arc;

use prometheus::core::{Metric, MetricVec, MetricVecBuilder};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Sample, MetricType};
use prometheus::{Error, Opts};

use super::durations::label_pairs;
use super::shards::Shards;

/// A family of counters.
pub(super) type TallyVec = MetricVec<Builder>;

/// One series; clones count together.
#[derive(Clone)]
pub struct Tally(Arc<Series>);

struct Series {
    labels: Vec<LabelPair>,
    kind: MetricType,
    sum: Shards<1>,
}

impl Tally {
    /// Counts one.
    pub(super) fn inc(&self) {
        self.inc_by(1);
    }

    /// Counts so many.
    pub(super) fn inc_by(&self, count: u64) {
        self.0.sum.add([(0, count)]);
    }

    /// Takes one back, of a gauge.
    pub(super) fn dec(&self) {
        self.inc_by(u64::MAX);
    }
}

impl Metric for Tally {
    fn metric(&self) -> Sample {
        let [sum] = self.0.sum.sums();
        let mut sample = Sample::from_label(self.0.labels.clone());
        #[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
        if self.0.kind == MetricType::GAUGE {
            let mut gauge = Gauge::default();
            gauge.set_value(sum.cast_signed() as f64);
            sample.set_gauge(gauge);
        } else {
            let mut counter = Counter::default();
            counter.set_value(sum as f64);
            sample.set_counter(counter);
        }
        sample
    }
}

/// Makes the series of a family.
#[derive(Clone)]
pub struct Builder(MetricType);

impl Builder {
    pub(super) fn family(
        kind: MetricType,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<TallyVec, Error> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        MetricVec::create(kind, Self(kind), Opts::new(name, help).variable_labels(labels))
    }
}

impl MetricVecBuilder for Builder {
    type M = Tally;
    type P = Opts;

    fn build<V: AsRef<str>>(&self, options: &Opts, values: &[V]) -> Result<Tally, Error> {
        let series = Series { labels: label_pairs(options, values)?, kind: self.0, sum: Shards::new() };
        Ok(Tally(Arc::new(series)))
    }
}
