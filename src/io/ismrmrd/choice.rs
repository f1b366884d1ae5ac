//! Which part of a file is read.

use crate::setters::setters;
use std::ops::Range;
use std::str::FromStr;

/// Which values of a counter are read: slices, repetitions, contrasts…
///
/// As text: `3`; `0:4` for 0 to 3; `2:` and `:4`; `0,2,5`; `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// The first there is; of averages their mean.
    #[default]
    Usual,
    /// This one.
    Only(usize),
    /// These, as a stack.
    List(Vec<usize>),
    /// Those of a range that are there, as a stack.
    Range(Range<usize>),
    /// All there are, as a stack.
    All,
}

impl Pick {
    /// Whether it gives a stack.
    pub fn is_stack(&self) -> bool {
        matches!(self, Pick::List(_) | Pick::Range(_) | Pick::All)
    }

    /// Which of `n` entries, numbered from 0, are read; `name` is what one is called, for the message.
    ///
    /// # Errors
    /// A message: none is there, or one that is named is not.
    pub fn indices(&self, n: usize, name: &str) -> Result<Vec<usize>, String> {
        let missing = match self {
            Pick::Only(only) => Some(*only).filter(|at| *at >= n),
            Pick::List(list) => list.iter().copied().find(|at| *at >= n),
            _ => None,
        };
        let wanted: Vec<usize> = match self {
            Pick::Usual => (0..n.min(1)).collect(),
            Pick::List(list) => list.clone(),
            pick => (0..n).filter(|at| pick.takes(*at)).collect(),
        };
        let what = match (missing, wanted.is_empty()) {
            (Some(at), _) => format!("no {name} {at}"),
            (None, true) => format!("no {name} of that range"),
            (None, false) => return Ok(wanted),
        };
        Err(match n {
            0 => format!("{what}; there are none"),
            1 => format!("{what}; there is {name} 0 only"),
            n => format!("{what}; there are {name}s 0 to {}", n - 1),
        })
    }

    /// Whether a value is among those that are asked for.
    pub(super) fn takes(&self, value: usize) -> bool {
        match self {
            Pick::Usual | Pick::All => true,
            Pick::Only(only) => value == *only,
            Pick::List(list) => list.contains(&value),
            Pick::Range(range) => range.contains(&value),
        }
    }
}

impl FromStr for Pick {
    type Err = String;

    fn from_str(text: &str) -> Result<Pick, String> {
        let expected =
            || format!("'{text}', expected a number such as 3, a range such as 0:4, a list such as 0,2,5, or all");
        let number = |t: &str| t.trim().parse::<usize>().map_err(|_| expected());
        if text.trim() == "all" {
            return Ok(Pick::All);
        }
        if let Some((from, to)) = text.split_once(':') {
            let from = if from.trim().is_empty() { 0 } else { number(from)? };
            let to = if to.trim().is_empty() { usize::MAX } else { number(to)? };
            return if from < to { Ok(Pick::Range(from..to)) } else { Err(format!("'{text}' is an empty range")) };
        }
        if text.contains(',') {
            let all: Vec<usize> = text.split(',').map(number).collect::<Result<_, _>>()?;
            return match all.iter().enumerate().find(|(at, n)| all[..*at].contains(n)) {
                Some((_, n)) => Err(format!("'{text}' names {n} twice")),
                None => Ok(Pick::List(all)),
            };
        }
        number(text).map(Pick::Only)
    }
}

/// What [`read_ismrmrd`](super::read_ismrmrd) reads of a file; as it starts, the first image there is, of averages their mean.
///
/// ```
/// use linops::io::{Pick, ScanChoice};
/// let choice = ScanChoice::default().slice(Pick::Only(3)).whiten(false);
/// assert_eq!(choice.repetition, Pick::Usual);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanChoice {
    /// The group of the file that holds the scan; by itself the only one that does.
    pub group: Option<String>,
    /// The encoding of the header, from 0.
    pub encoding: usize,
    /// Slices.
    pub slice: Pick,
    /// Contrasts (echoes).
    pub contrast: Pick,
    /// Phases (of the heart).
    pub phase: Pick,
    /// Repetitions.
    pub repetition: Pick,
    /// Sets (flow encodings and the like).
    pub set: Pick,
    /// Averages; those that are not picked are averaged.
    pub average: Pick,
    /// Whether k-space is pre-whitened where the file has a noise scan.
    pub whiten: bool,
}

impl Default for ScanChoice {
    fn default() -> Self {
        ScanChoice {
            group: None,
            encoding: 0,
            slice: Pick::Usual,
            contrast: Pick::Usual,
            phase: Pick::Usual,
            repetition: Pick::Usual,
            set: Pick::Usual,
            average: Pick::Usual,
            whiten: true,
        }
    }
}

setters! { ScanChoice {
    /// Sets the group of the file.
    group: Option<String>,
    /// Sets which encoding of the header is read.
    encoding: usize,
    /// Sets which slices are read.
    slice: Pick,
    /// Sets which contrasts are read.
    contrast: Pick,
    /// Sets which phases are read.
    phase: Pick,
    /// Sets which repetitions are read.
    repetition: Pick,
    /// Sets which sets are read.
    set: Pick,
    /// Sets which averages are read.
    average: Pick,
    /// Sets whether k-space is pre-whitened.
    whiten: bool,
} }

impl ScanChoice {
    /// In the order of the counters.
    pub(super) fn picks(&self) -> [&Pick; 6] {
        [&self.slice, &self.contrast, &self.phase, &self.repetition, &self.set, &self.average]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_from_text() {
        let pick = |t: &str| t.parse::<Pick>();
        assert_eq!(pick("3"), Ok(Pick::Only(3)));
        assert_eq!(pick("0:4"), Ok(Pick::Range(0..4)));
        assert_eq!(pick(":2"), Ok(Pick::Range(0..2)));
        assert_eq!(pick("2:"), Ok(Pick::Range(2..usize::MAX)));
        assert_eq!(pick("0,2"), Ok(Pick::List(vec![0, 2])));
        assert_eq!(pick("all"), Ok(Pick::All));
        assert_eq!(pick("2:").unwrap().indices(4, "slice"), Ok(vec![2, 3]));
        assert_eq!(
            (Pick::Usual.indices(4, "slice"), pick("3,1").unwrap().indices(4, "slice")),
            (Ok(vec![0]), Ok(vec![3, 1]))
        );
        assert!(pick("4").unwrap().indices(4, "slice").unwrap_err().contains("no slice 4; there are slices 0 to 3"));
        assert!(pick("4:").unwrap().indices(4, "slice").unwrap_err().contains("of that range"));
        for bad in ["", "-1", "a", "4:4", "1,x", "0,1,0"] {
            assert!(pick(bad).is_err(), "{bad}");
        }
    }
}
