//! Counters, and gauges that only go up and down by steps, for what requests count.

use std::sync::Arc;

use prometheus::core::{Metric, MetricVec, MetricVecBuilder};
use prometheus::proto::{Counter, Gauge, Metric as Sample, MetricType};
use prometheus::{Error, Opts};

use super::series::Series;

/// A family of counters, or of gauges.
pub(super) type TallyVec = MetricVec<Builder>;

/// One series; clones count together.
#[derive(Clone)]
pub struct Tally(Arc<Series<1>>, MetricType);

impl Tally {
    /// Counts one.
    pub(super) fn inc(&self) {
        self.inc_by(1);
    }

    /// Counts so many.
    pub(super) fn inc_by(&self, count: u64) {
        self.0.sums.add([(0, count)]);
    }

    /// Takes one back, of a gauge.
    pub(super) fn dec(&self) {
        self.inc_by(u64::MAX);
    }
}

impl Metric for Tally {
    fn metric(&self) -> Sample {
        let [sum] = self.0.sums.sums();
        let mut sample = self.0.sample();
        #[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
        if self.1 == MetricType::GAUGE {
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

/// Makes the series of a family of this type.
#[derive(Clone)]
pub struct Builder(pub(super) MetricType);

impl MetricVecBuilder for Builder {
    type M = Tally;
    type P = Opts;

    fn build<V: AsRef<str>>(&self, family: &Opts, values: &[V]) -> Result<Tally, Error> {
        Ok(Tally(Series::new(family, values)?, self.0))
    }
}
