//! Where an array holds what it should not.

use ndarray::{ArrayViewD, Dimension};

/// The first value in C order that is `bad`, and its index.
pub(crate) fn first_where<'a, T>(array: &ArrayViewD<'a, T>, bad: impl Fn(&T) -> bool) -> Option<(Vec<usize>, &'a T)> {
    // A scan with indices takes ten times as long, and nearly always finds nothing.
    let found = match array.as_slice_memory_order() {
        Some(values) => values.iter().any(&bad),
        None => array.iter().any(&bad),
    };
    if !found {
        return None;
    }
    let (at, value) = array.clone().into_indexed_iter().find(|(_, v)| bad(v))?;
    Some((at.slice().to_vec(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn the_first_in_c_order_is_found_whatever_the_layout() {
        let array = arr2(&[[0, 1, 7], [7, 0, 7]]);
        let seven = |view: ArrayViewD<i32>| first_where(&view, |v| *v == 7).map(|(at, v)| (at, *v));
        assert_eq!(seven(array.view().into_dyn()), Some((vec![0, 2], 7)));
        assert_eq!(seven(array.t().into_dyn()), Some((vec![0, 1], 7)), "transposed");
        assert_eq!(seven(array.slice(ndarray::s![.., ..2]).into_dyn()), Some((vec![1, 0], 7)), "in pieces");
        assert_eq!(seven(array.slice(ndarray::s![..1, ..2]).into_dyn()), None);
    }
}
