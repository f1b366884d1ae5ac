//! The lists of a spread, in stretches that a binding holds.
//!
//! A part of a tile is summed by one workgroup, so the parts may be cut anywhere: each stretch is a dispatch of its own. Parts
//! of one tile go to slots of their own, which are added up when all are there.

use super::{BIAS, BLOCK, CELLS, Job};
use crate::points::{Part, Parts};
use crate::shader::{List, WORK};
use std::ops::Range;

/// Work of one footprint in one tile, in bytes: its cells' multiply-adds.
const FOOTPRINT: u64 = 1 << 10;

/// Some parts: their footprints and slots.
pub(super) struct Stretch {
    /// Point and packed first cell of each footprint.
    pub entries: List,
    /// Tile, first and end of its footprints in `entries`, and 0 or 1 + a slot counted from the first of `slots`.
    pub parts: List,
    pub count: usize,
    pub slots: Range<usize>,
    /// The segments of the records that the footprints' points lie in; at least one.
    pub segments: Vec<usize>,
}

/// Some tiles of several parts.
pub(super) struct Heavy {
    /// Tile, first and end of its slots counted from the first of `slots`.
    pub list: List,
    pub count: usize,
    pub slots: Range<usize>,
    /// Whether earlier slots of the tile have been stored already.
    pub add: bool,
}

/// All parts of a set's tiles.
pub(super) struct Lists<'a> {
    job: &'a Job<'a>,
    made: Parts,
}

impl<'a> Lists<'a> {
    pub fn new(job: &'a Job<'a>) -> Lists<'a> {
        Lists { job, made: super::parts(job.points, &job.s.limits) }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.made.slots
    }

    /// Slots that one binding holds.
    fn most_slots(&self) -> usize {
        (self.job.s.limits.bindable() / CELLS).max(1)
    }

    /// Words that one binding holds.
    fn most_words(&self) -> usize {
        usize::try_from(self.job.s.bindable(4)).unwrap_or(usize::MAX)
    }

    /// The parts of a range of tiles.
    pub fn stretches(&self, tiles: &Range<usize>) -> Vec<Stretch> {
        let parts = &self.made.parts;
        let below = |t: usize| parts.partition_point(|p| p.tile < t);
        let blocks = self.job.entries(0, BLOCK).div_ceil(BLOCK) as u64;
        let footprints = (self.most_words() / 2).min(usize::try_from(WORK / (FOOTPRINT * blocks)).unwrap_or(usize::MAX));
        let (mut all, mut first, last) = (Vec::new(), below(tiles.start), below(tiles.end));
        while first < last {
            let (mut end, mut slots) = (first, 0);
            while end < last {
                let taken = slots + usize::from(parts[end].slot.is_some());
                let listed = parts[end].entries.end - parts[first].entries.start;
                let full = listed > footprints || 4 * (end + 1 - first) > self.most_words() || taken > self.most_slots();
                if end > first && full {
                    break;
                }
                (end, slots) = (end + 1, taken);
            }
            all.push(self.stretch(first..end));
            first = end;
        }
        all
    }

    fn stretch(&self, range: Range<usize>) -> Stretch {
        let (points, own) = (self.job.points, &self.made.parts[range.clone()]);
        let entries = own[0].entries.start..own[own.len() - 1].entries.end;
        let slot = |p: &Part| p.slot;
        let first = own.iter().find_map(slot).unwrap_or(0);
        let slots = first..own.iter().rev().find_map(slot).map_or(first, |s| s + 1);
        let (address, count) = (points.address(), own.len());
        Stretch {
            entries: {
                let (points, range) = (points.clone(), entries.clone());
                // A binding is never empty.
                let len = (2 * entries.len()).max(2);
                List::made(address, "footprints", (entries.start, entries.end), len, move || {
                    let d = points.grid().len();
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let packed =
                        |c: &[i16; 3]| (0..d).fold(0, |p, a| p | ((i64::from(c[a]) + BIAS) as u32) << (10 * a));
                    let all = &points.bins().all()[range.clone()];
                    let mut words: Vec<u32> = all.iter().flat_map(|e| [e.point, packed(&e.first)]).collect();
                    words.resize(len, 0);
                    words
                })
            },
            parts: {
                let (points, own, start) = (points.clone(), own.to_vec(), entries.start);
                List::made(address, "parts", (range.start, range.end), 4 * count, move || {
                    let _alive = &points;
                    own.iter()
                        .flat_map(|p| {
                            let slot = p.slot.map_or(0, |s| s + 1 - first);
                            [p.tile, p.entries.start - start, p.entries.end - start, slot].map(index)
                        })
                        .collect()
                })
            },
            count,
            slots,
            segments: self.touched(&entries),
        }
    }

    /// The segments that some footprints' points lie in.
    fn touched(&self, entries: &Range<usize>) -> Vec<usize> {
        let segments = &self.job.segments;
        if segments.len() == 1 {
            return vec![0];
        }
        let mut touched = vec![false; segments.len()];
        let size = segments[0].count;
        let all = &self.job.points.bins().all()[entries.clone()];
        all.iter().for_each(|e| touched[e.point as usize / size] = true);
        let touched: Vec<usize> = (0..touched.len()).filter(|&k| touched[k]).collect();
        // Tiles without points are stored too.
        if touched.is_empty() { vec![0] } else { touched }
    }

    /// The tiles of several parts among a range of tiles.
    pub fn heavy(&self, tiles: &Range<usize>) -> Vec<Heavy> {
        let heavy = &self.made.heavy;
        let below = |t: usize| heavy.partition_point(|h| h.0 < t);
        let (bindable, most) = (self.most_words(), self.most_slots());
        let (mut all, mut first, last) = (Vec::new(), below(tiles.start), below(tiles.end));
        while first < last {
            let (tile, slots) = heavy[first].clone();
            let fits = |k: usize| heavy[k].1.end - slots.start <= most && 3 * (k + 1 - first) <= bindable;
            let end = (first..last).find(|&k| !fits(k)).unwrap_or(last);
            if end > first {
                let own: Vec<u32> = heavy[first..end]
                    .iter()
                    .flat_map(|(t, s)| [*t, s.start - slots.start, s.end - slots.start].map(index))
                    .collect();
                let part = (first, end);
                let slots = slots.start..heavy[end - 1].1.end;
                all.push(Heavy { list: self.list(part, own), count: end - first, slots, add: false });
                first = end;
                continue;
            }
            // One tile whose slots are more than a binding: some after the other, in their order.
            for at in slots.clone().step_by(most) {
                let own = at..slots.end.min(at + most);
                let words = [tile, 0, own.len()].map(index).to_vec();
                // Told from lists of several tiles by its end.
                let list = self.list((at, usize::MAX), words);
                all.push(Heavy { list, count: 1, slots: own, add: at > slots.start });
            }
            first += 1;
        }
        all
    }

    fn list(&self, part: (usize, usize), words: Vec<u32>) -> List {
        let points = self.job.points.clone();
        List::made(points.address(), "heavy tiles", part, words.len(), move || {
            let _alive = &points;
            words.clone()
        })
    }
}

/// A number that the size of a binding bounds, or what `spread.rs` has looked at.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
