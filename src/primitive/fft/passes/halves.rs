//! Halves of lines that are known to be zero, or that nobody wants.
//!
//! Of a line that is padded to twice its length the first stage has butterflies half of whose inputs are zero; of one that is cropped
//! again the last stage has some half of whose results are not stored. Those are neither read nor made: a layer of sums less each
//! way. A half is a run of inputs, or results, of a butterfly, round its end.

/// The half of a butterfly's inputs, or results, that there are; `None`: all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Half(Option<(usize, usize)>);

impl Half {
    /// Of a butterfly of `radix` over a line of `n` elements, of which `count` from `first` on round the end are there.
    pub(super) fn of(n: usize, radix: usize, first: usize, count: usize) -> Half {
        let apart = n / radix;
        let (from, to) = (first % n / apart, (first % n + count).div_ceil(apart));
        let fits = radix.is_multiple_of(2) && count > 0 && to - from <= radix / 2;
        Half(fits.then_some((from, radix)))
    }

    /// Whether input or result `q` is there.
    pub(super) fn has(self, q: usize) -> bool {
        self.0.is_none_or(|(from, radix)| (q + radix - from) % radix < radix / 2)
    }

    /// The first that is there, where others are not.
    pub(super) fn start(self) -> Option<usize> {
        self.0.map(|(from, _)| from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_has_all_that_is_there() {
        for (n, radix) in [(64, 8), (48, 6), (90, 10), (36, 2), (45, 5)] {
            for (first, count) in (0..n).flat_map(|first| (0..=n).map(move |count| (first, count))) {
                let half = Half::of(n, radix, first, count);
                let missed = (first..first + count).any(|i| !half.has(i % n / (n / radix)));
                assert!(!missed, "{count} of {n} from {first} on");
                let whole = (0..radix).all(|q| half.has(q));
                assert_eq!(whole, half.start().is_none());
                let aligned = first % (n / radix) == 0 && count > 0 && 2 * count <= n && radix % 2 == 0;
                assert!(!aligned || !whole, "{count} of {n} from {first} on");
            }
        }
    }
}
