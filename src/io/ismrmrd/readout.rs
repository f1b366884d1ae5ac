//! The grid along the readout: how many samples, over which field of view, and what of it is oversampling.
//!
//! Oversampling is a ratio of **fields of view**: a larger encoded one is cut to the reconstructed one in image space. A smaller
//! reconstructed matrix over the same field of view is a coarser picture of all of it.

use super::header::Header;
use super::records::{Acquisition, flag};
use std::ops::Range;

/// Ratios this near to a whole number are that number: the centre of a line may be off by a few samples.
const NEAR: f64 = 0.07;

/// The grid of one axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Samples.
    pub n: usize,
    /// Field of view of them in mm; 0 where the header does not say.
    pub fov: f64,
    /// Pixels that are kept.
    pub keep: usize,
}

impl Grid {
    /// Field of view of what is kept.
    pub(super) fn kept_fov(&self, kept: usize) -> f64 {
        self.fov * kept as f64 / self.n as f64
    }
}

/// The samples of a line that count.
pub(super) fn kept(line: &Acquisition) -> Range<usize> {
    let end = line.samples.saturating_sub(line.discard_post);
    line.discard_pre.min(end)..end
}

/// Which sample of a line, as it is turned to go forward, is the centre of k-space.
pub(super) fn centre(line: &Acquisition, encoded: usize) -> usize {
    let (n, half) = (line.samples, line.samples / 2);
    match (line.centre_sample, line.has(flag::REVERSE)) {
        // Some converters leave it 0. A line that does begin at the centre has half of the samples.
        (0, _) if 10 * n > 6 * encoded => half,
        // A full line that is turned stays a full line.
        (centre, true) if centre == half => half,
        (centre, true) => n.saturating_sub(1).saturating_sub(centre),
        (centre, false) => centre,
    }
}

/// The range that is kept of a line that is turned to go forward.
pub(super) fn forward(line: &Acquisition) -> Range<usize> {
    let kept = kept(line);
    if line.has(flag::REVERSE) { line.samples - kept.end..line.samples - kept.start } else { kept }
}

/// The grid along the readout of these lines.
pub(super) fn grid(header: &Header, lines: &[&Acquisition], notes: &mut Vec<String>) -> Grid {
    let (encoded, recon) = (header.encoded[0], header.recon[0]);
    let (wide, narrow) = (header.encoded_fov[0], header.recon_fov[0]);
    // The longer side of each line's centre, twice.
    let reach = |line: &&Acquisition| {
        let (range, centre) = (forward(line), centre(line, encoded));
        2 * centre.saturating_sub(range.start).max(range.end.saturating_sub(centre))
    };
    let needed = lines.iter().map(reach).max().unwrap_or(encoded);
    let ratio = needed as f64 / encoded as f64;
    let whole = ratio.round();
    let cut = if wide > 0.0 && narrow > 0.0 && narrow < wide { narrow / wide } else { 1.0 };
    let short = (encoded as f64 * cut).round() as usize;
    let is_short = |line: &&Acquisition| kept(line).len() == short && centre(line, encoded) == line.samples / 2;
    if short < encoded && lines.iter().all(is_short) {
        notes.push(format!(
            "readout of {short} samples for an encoded matrix of {encoded}: its oversampling was removed before"
        ));
        return Grid { n: short, fov: narrow, keep: short };
    }
    if ratio > 1.0 + NEAR {
        let n = if (ratio - whole).abs() < NEAR { encoded * whole as usize } else { needed.next_multiple_of(2) };
        let more = n as f64 / encoded as f64;
        // Either the header counts the oversampling in the field of view, or in neither.
        let counted = (1.0 / cut / more - 1.0).abs() < NEAR;
        let fov = if counted { wide } else { wide * more };
        notes.push(format!("readout of {n} samples for an encoded matrix of {encoded}"));
        return Grid { n, fov, keep: keep(n, fov, narrow, recon) };
    }
    // Of an odd number one side of the centre is longer.
    if needed > encoded + encoded % 2 {
        notes.push(format!("samples beyond the encoded matrix of {encoded} left out"));
    }
    Grid { n: encoded, fov: wide, keep: keep(encoded, wide, narrow, recon) }
}

/// How many of `n` pixels the reconstructed field of view has; by the matrix where the header leaves the fields of view out.
pub(super) fn keep(n: usize, fov: f64, recon_fov: f64, recon: usize) -> usize {
    match fov > 0.0 && recon_fov > 0.0 {
        true => ((n as f64 * recon_fov / fov).round() as usize).clamp(1, n),
        false => recon.min(n),
    }
}
