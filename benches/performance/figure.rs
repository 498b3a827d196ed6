//! A figure of the report: what repeated runs measured, as their median and their spread.

use crate::median::median;

/// The values that the runs gave for one figure, at least one.
#[derive(Clone)]
pub struct Figure(Vec<f64>);

impl Figure {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Figure {
        Figure(values.into_iter().collect())
    }

    pub fn median(&self) -> f64 {
        median(self.0.iter().copied())
    }

    /// The lowest and the highest value.
    pub fn range(&self) -> (f64, f64) {
        self.0.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)))
    }

    /// The figure of what `function` makes of each value.
    pub fn map(&self, function: impl Fn(f64) -> f64) -> Figure {
        Figure::of(self.0.iter().map(|&value| function(value)))
    }

    /// The median as `form` writes it. Behind it, if there were several runs, the distance of the run farthest from it.
    pub fn show(&self, form: impl Fn(f64) -> String) -> String {
        let (median, (low, high)) = (self.median(), self.range());
        let farthest = (high - median).max(median - low);
        match self.0.len() {
            1 => form(median),
            _ if farthest <= 0.0 => format!("{} ±0 %", form(median)),
            // A processor time that rounds to nothing has no share.
            _ if median <= 0.0 => format!("{} to {}", form(low), form(high)),
            _ => format!("{} ±{:.0} %", form(median), farthest / median * 100.0),
        }
    }
}
