//! The middle of repeated measurements.

/// The median of `values`, of which there is at least one; the higher of the two middle ones if their number is even.
pub fn median<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|one, other| one.partial_cmp(other).expect("no NaN is measured"));
    values.swap_remove(values.len() / 2)
}
