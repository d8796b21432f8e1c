//! A scrape, by series.

use std::collections::BTreeMap;

/// What `/metrics` said.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The text as it came.
    pub text: String,
    series: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text format.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        Self { text: text.to_owned(), series: series.collect() }
    }

    /// The value of a series, named with all its labels in the order of the text:
    /// `edgeward_requests_total{method="GET",route="a",status="2xx"}`.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// The sum of all series of a family that have each of these labels, e.g. `route="a"`.
    pub fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        self.matching(family, labels).map(|(_, value)| value).sum()
    }

    /// The series of a family that have each of these labels.
    pub fn matching<'a>(
        &'a self,
        family: &'a str,
        labels: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, f64)> {
        self.series
            .iter()
            .filter(move |(series, _)| {
                let (name, inside) = series.split_once('{').unwrap_or((series, ""));
                name == family && labels.iter().all(|label| inside.contains(label))
            })
            .map(|(series, value)| (series.as_str(), *value))
    }
}
