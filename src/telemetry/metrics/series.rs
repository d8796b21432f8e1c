//! What series of our own kind have in common: labels, and sums that each thread adds to by itself ([`Shards`]).

use std::sync::Arc;

use prometheus::core::{Describer, MetricVec, MetricVecBuilder};
use prometheus::proto::{LabelPair, Metric as Sample, MetricType};
use prometheus::{Error, Opts};

use super::shards::Shards;

/// A series of `N` sums.
pub(super) struct Series<const N: usize> {
    labels: Vec<LabelPair>,
    pub(super) sums: Shards<N>,
}

impl<const N: usize> Series<N> {
    /// All zero, with these values for the labels of the family.
    ///
    /// # Errors
    /// When the family has no good name.
    pub(super) fn new<V: AsRef<str>>(family: &Opts, values: &[V]) -> Result<Arc<Self>, Error> {
        let pair = |(name, value): (String, &V)| {
            let mut pair = LabelPair::default();
            pair.set_name(name);
            pair.set_value(value.as_ref().to_owned());
            pair
        };
        let mut labels: Vec<_> =
            family.describe()?.variable_labels.into_iter().zip(values).map(pair).collect();
        labels.sort();
        Ok(Arc::new(Self { labels, sums: Shards::new() }))
    }

    /// What a scrape sees, but for the value.
    pub(super) fn sample(&self) -> Sample {
        Sample::from_label(self.labels.clone())
    }
}

/// A family of such series.
///
/// # Errors
/// When a name or a label is not one.
pub(super) fn family<T: MetricVecBuilder<P = Opts>>(
    kind: MetricType,
    builder: T,
    (name, help): (&str, &str),
    labels: &[&str],
) -> Result<MetricVec<T>, Error> {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    MetricVec::create(kind, builder, Opts::new(name, help).variable_labels(labels))
}
