//! Copies of a box of values from one buffer to another, in pieces that bindings hold.

/// An axis of a box: its extent, and how far apart its indices are in either buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub extent: u64,
    pub from: u64,
    pub to: u64,
}

/// A box of words: where it begins in either buffer, and its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub from: u64,
    pub to: u64,
    pub axes: Vec<Axis>,
}

impl Copied {
    /// Words that are copied.
    pub fn count(&self) -> u64 {
        self.axes.iter().map(|a| a.extent).product()
    }

    /// Words from the first to the last one that is read.
    pub fn read(&self) -> u64 {
        1 + self.axes.iter().map(|a| (a.extent - 1) * a.from).sum::<u64>()
    }

    /// Words from the first to the last one that is written.
    pub fn written(&self) -> u64 {
        1 + self.axes.iter().map(|a| (a.extent - 1) * a.to).sum::<u64>()
    }

    /// The same words by fewer axes: those that follow on one another in both buffers are one.
    fn joined(&self) -> Copied {
        let mut axes: Vec<Axis> = Vec::new();
        for &a in self.axes.iter().filter(|a| a.extent > 1) {
            match axes.last_mut() {
                Some(outer) if outer.from == a.extent * a.from && outer.to == a.extent * a.to => {
                    *outer = Axis { extent: outer.extent * a.extent, ..a };
                }
                _ => axes.push(a),
            }
        }
        Copied { axes, ..*self }
    }
}

/// A box as boxes whose words are at most `most` apart, in either buffer.
pub(crate) fn boxes(whole: &Copied, most: u64) -> Vec<Copied> {
    let (mut open, mut done) = (vec![whole.joined()], Vec::new());
    while let Some(b) = open.pop() {
        let outermost = b.axes.iter().position(|a| a.extent > 1);
        match outermost.filter(|_| b.read().max(b.written()) > most) {
            None => done.push(b),
            Some(at) => {
                let (mut first, mut second) = (b.clone(), b);
                let half = first.axes[at].extent / 2;
                first.axes[at].extent = half;
                second.axes[at].extent -= half;
                second.from += half * second.axes[at].from;
                second.to += half * second.axes[at].to;
                open.extend([second, first]);
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of words, in order.
    fn words(b: &Copied) -> Vec<(u64, u64)> {
        b.axes.iter().fold(vec![(b.from, b.to)], |all, a| {
            all.iter().flat_map(|(f, t)| (0..a.extent).map(move |k| (f + k * a.from, t + k * a.to))).collect()
        })
    }

    #[test]
    fn pieces_are_the_whole() {
        let axes = [(3, 200, 35), (5, 40, 7), (7, 3, 1)];
        let axes = axes.map(|(extent, from, to)| Axis { extent, from, to }).to_vec();
        let whole = Copied { from: 11, to: 0, axes };
        for most in [1, 8, 20, 90, 1000] {
            let pieces = boxes(&whole, most);
            assert!(pieces.iter().all(|p| p.read().max(p.written()) <= most));
            let all: Vec<(u64, u64)> = pieces.iter().flat_map(words).collect();
            assert_eq!(all, words(&whole), "{most}");
        }
    }

    #[test]
    fn what_lies_side_by_side_is_one_axis() {
        let axes = [(4, 30, 30), (5, 6, 6), (6, 1, 1)].map(|(extent, from, to)| Axis { extent, from, to }).to_vec();
        let joined = boxes(&Copied { from: 0, to: 0, axes }, 1000);
        assert_eq!(joined, [Copied { from: 0, to: 0, axes: vec![Axis { extent: 120, from: 1, to: 1 }] }]);
    }
}
