//! Which of several kernels that compute the same is taken, by what was measured on a device.
//!
//! Where a plan has such a choice there is an ordered list of candidates, the one that a model holds for the fastest first. A
//! choice is a place in that list: whatever it says, a kernel is taken that is right, and the same bits come out of all of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Places of candidates by what is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Choices(BTreeMap<String, usize>);

impl Choices {
    /// One choice.
    pub fn one(what: &str, place: usize) -> Choices {
        Choices(BTreeMap::from([(what.to_string(), place)]))
    }

    /// Takes a choice down.
    pub fn set(&mut self, what: &str, place: usize) {
        self.0.insert(what.to_string(), place);
    }

    /// The place that was chosen.
    pub fn place(&self, what: &str) -> Option<usize> {
        self.0.get(what).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text: a line `place what` for each.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|(what, place)| format!("{place} {what}\n")).collect()
    }

    /// What [`to_text`](Choices::to_text) gave; None for any other text.
    pub fn of_text(text: &str) -> Option<Choices> {
        let line = |l: &str| {
            let (place, what) = l.split_once(' ')?;
            Some((what.to_string(), place.parse().ok()?))
        };
        text.lines().map(line).collect::<Option<_>>().map(Choices)
    }

    /// These choices for as long as the process lives, so that what plans are made for is a value that can be copied. Equal ones
    /// are the same.
    pub fn kept(self) -> &'static Choices {
        static ALL: Mutex<Vec<&'static Choices>> = Mutex::new(Vec::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = all.iter().find(|c| ***c == self) {
            return there;
        }
        let own: &'static Choices = Box::leak(Box::new(self));
        all.push(own);
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_were_written() {
        let mut all = Choices::one("fft tile 512 strided", 3);
        all.set("fft tile 64 lines", 0);
        assert_eq!(all.to_text(), "3 fft tile 512 strided\n0 fft tile 64 lines\n");
        assert_eq!(Choices::of_text(&all.to_text()), Some(all.clone()));
        assert_eq!(Choices::of_text(""), Some(Choices::default()));
        for text in ["3", "x fft", "-1 fft", "\n"] {
            assert_eq!(Choices::of_text(text), None, "{text:?}");
        }
        assert!(std::ptr::eq(all.clone().kept(), all.kept()));
    }
}
