//! Prometheus text, as far as a handful of plain numbers needs it.

use std::fmt::Write as _;

/// Numbers about to be shown to Prometheus.
#[derive(Debug, Default)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// A number that only grows.
    pub(crate) fn counter(self, name: &str, help: &str, value: u64) -> Self {
        self.number(name, help, "counter", value)
    }

    /// A number that goes up and down.
    pub(crate) fn gauge(self, name: &str, help: &str, value: u64) -> Self {
        self.number(name, help, "gauge", value)
    }

    pub(crate) fn text(self) -> String {
        self.0
    }

    fn number(mut self, name: &str, help: &str, kind: &str, value: u64) -> Self {
        let line = format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        self.0.write_fmt(line).expect("a string takes everything");
        self
    }
}
