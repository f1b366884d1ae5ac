//! The lists of a spread, in stretches that a binding holds.
//!
//! A part of a tile is summed by one workgroup, so the parts may be cut anywhere: each stretch is a dispatch of its own. Parts
//! of one tile go to slots of their own, which are added up when all are there.

use super::{BIAS, CELLS, Job};
use crate::program::points::Parts;
use crate::program::spread_parts;
use std::ops::Range;
use std::sync::Arc;

/// Some parts: their footprints and slots.
pub(super) struct Stretch {
    /// Point and packed first cell of each footprint.
    pub entries: Arc<Vec<u32>>,
    /// Tile, first and end of its footprints in `entries`, and 0 or 1 + a slot counted from the first of `slots`.
    pub parts: Arc<Vec<u32>>,
    pub count: usize,
    pub slots: Range<usize>,
    /// The segments of the records that the footprints' points lie in; at least one.
    pub segments: Vec<usize>,
}

/// Some tiles of several parts.
pub(super) struct Heavy {
    /// Tile, first and end of its slots counted from the first of `slots`.
    pub list: Arc<Vec<u32>>,
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
        Lists { job, made: spread_parts(job.points, &job.s.plan.target) }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.made.slots
    }

    /// Slots that one binding holds.
    fn most_slots(&self) -> usize {
        self.job.s.room(8) as usize / CELLS
    }

    /// The parts of a range of tiles.
    pub fn stretches(&self, tiles: &Range<usize>) -> Vec<Stretch> {
        let parts = belonging(&self.made.parts, tiles);
        let (room, most) = (self.job.s.room(4) as usize, self.most_slots().max(1));
        let mut all = Vec::new();
        let mut first = 0;
        while first < parts.len() {
            let start = parts[first][1];
            let (mut end, mut slots) = (first, 0);
            while end < parts.len() {
                let taken = slots + usize::from(parts[end][3] > 0);
                let words = 2 * (parts[end][2] - start) as usize;
                if end > first && (words > room || 4 * (end + 1 - first) > room || taken > most) {
                    break;
                }
                (end, slots) = (end + 1, taken);
            }
            all.push(self.stretch(&parts[first..end]));
            first = end;
        }
        all
    }

    fn stretch(&self, parts: &[[u32; 4]]) -> Stretch {
        let points = self.job.points;
        let (start, end) = (parts[0][1], parts[parts.len() - 1][2]);
        let slot = |p: &[u32; 4]| p[3].checked_sub(1);
        let first = parts.iter().find_map(slot).unwrap_or(0);
        let slots = first as usize..parts.iter().rev().find_map(slot).map_or(first as usize, |s| s as usize + 1);
        let d = points.grid().len();
        let packed = |c: &[i16; 3]| (0..d).fold(0, |p, a| p | ((i64::from(c[a]) + BIAS) as u32) << (10 * a));
        let all = &points.bins().all()[start as usize..end as usize];
        let mut touched = vec![false; self.job.segments.len()];
        let size = self.job.segments[0].count;
        all.iter().for_each(|e| touched[e.point as usize / size] = true);
        let mut segments: Vec<usize> = (0..touched.len()).filter(|&k| touched[k]).collect();
        if segments.is_empty() {
            // Tiles without points are stored too.
            segments.push(0);
        }
        let own = |p: &[u32; 4]| [p[0], p[1] - start, p[2] - start, if p[3] > 0 { p[3] - first } else { 0 }];
        let mut entries: Vec<u32> = all.iter().flat_map(|e| [e.point, packed(&e.first)]).collect();
        // A binding is never empty.
        entries.resize(entries.len().max(2), 0);
        Stretch {
            entries: Arc::new(entries),
            parts: Arc::new(parts.iter().flat_map(own).collect()),
            count: parts.len(),
            slots,
            segments,
        }
    }

    /// The tiles of several parts among a range of tiles.
    pub fn heavy(&self, tiles: &Range<usize>) -> Vec<Heavy> {
        let heavy = belonging(&self.made.heavy, tiles);
        let (room, most) = (self.job.s.room(4) as usize, self.most_slots().max(1));
        let mut all = Vec::new();
        let mut first = 0;
        while first < heavy.len() {
            let [tile, start, last] = heavy[first];
            let fits = |k: usize| (heavy[k][2] - start) as usize <= most && 3 * (k + 1 - first) <= room;
            let end = (first..heavy.len()).find(|&k| !fits(k)).unwrap_or(heavy.len());
            if end > first {
                let list = heavy[first..end].iter().flat_map(|h| [h[0], h[1] - start, h[2] - start]).collect();
                let slots = start as usize..heavy[end - 1][2] as usize;
                all.push(Heavy { list: Arc::new(list), count: end - first, slots, add: false });
                first = end;
                continue;
            }
            // One tile whose slots are more than a binding: some after the other, in their order.
            for at in (start as usize..last as usize).step_by(most) {
                let slots = at..(last as usize).min(at + most);
                let list = Arc::new(vec![tile, 0, slots.len() as u32]);
                all.push(Heavy { list, count: 1, slots, add: at > start as usize });
            }
            first += 1;
        }
        all
    }
}

/// The stretch of a list, sorted by tile, that belongs to a range of tiles.
fn belonging<'l, const N: usize>(list: &'l [[u32; N]], tiles: &Range<usize>) -> &'l [[u32; N]] {
    let below = |t: usize| list.partition_point(|p| (p[0] as usize) < t);
    &list[below(tiles.start)..below(tiles.end)]
}
