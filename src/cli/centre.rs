//! Pixels about the centre, which is N / 2 of N.

use ndarray::{Array, ArrayD, Axis, RemoveAxis, Slice};

fn middle(n: usize, to: usize) -> Slice {
    let start = n / 2 - to / 2;
    Slice::from(start..start + to)
}

/// The central pixels of (…, image…); an axis that has no more keeps all.
pub fn central<T: Clone, D: RemoveAxis>(mut values: Array<T, D>, image: &[usize]) -> Array<T, D> {
    let front = values.ndim() - image.len();
    for (axis, to) in image.iter().enumerate() {
        let (axis, from) = (Axis(front + axis), values.len_of(Axis(front + axis)));
        if from > *to {
            values = values.slice_axis(axis, middle(from, *to)).to_owned();
        }
    }
    values
}

/// An image with zeros around it; extents that are no smaller than its own.
pub fn padded<T: Clone + Default>(image: &ArrayD<T>, extents: &[usize]) -> ArrayD<T> {
    let mut whole = ArrayD::from_elem(extents, T::default());
    let mut inside = whole.view_mut();
    for (axis, (n, to)) in extents.iter().zip(image.shape()).enumerate() {
        inside.slice_axis_inplace(Axis(axis), middle(*n, *to));
    }
    inside.assign(image);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_padded_is_cut_again() {
        for (n, to) in [(5, 3), (6, 3), (5, 2), (6, 2), (4, 4)] {
            let image = ArrayD::from_shape_fn(vec![to, 2], |at| 1 + at[0] * 2 + at[1]);
            let whole = padded(&image, &[n, 3]);
            assert_eq!(whole[[n / 2, 1]], image[[to / 2, 1]], "{n} {to}");
            assert_eq!(central(whole.clone(), &[to, 2]), image);
            assert_eq!(central(whole.clone(), &[n + 1, 9]), whole);
        }
    }
}
