//! What is known of a scan beside its samples.

use super::records::{Acquisition, IMAGE_COUNTERS, Place};
use super::select::Counters;
use super::whiten::Whitening;

/// Where the lines of an image were acquired, as the scanner wrote it: patient coordinates in mm, x to the left, y to the back,
/// z to the head (LPS).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Placement {
    /// The middle of the image.
    pub position_mm: [f64; 3],
    /// The direction of the readout (x), a unit vector; 0 where the file does not say.
    pub read_dir: [f64; 3],
    /// The direction of phase encoding (y).
    pub phase_dir: [f64; 3],
    /// The direction of slices (z).
    pub slice_dir: [f64; 3],
}

impl Placement {
    pub(super) fn of(place: Place) -> Placement {
        let [position_mm, read_dir, phase_dir, slice_dir] =
            [place.position, place.read, place.phase, place.slice].map(|v| v.map(f64::from));
        Placement { position_mm, read_dir, phase_dir, slice_dir }
    }

    /// Whether the file says where it is.
    pub fn is_known(&self) -> bool {
        let some = |v: &[f64; 3]| v.iter().any(|c| *c != 0.0) && v.iter().all(|c| c.is_finite());
        some(&self.read_dir) && some(&self.phase_dir) && some(&self.slice_dir)
    }
}

/// What is known of a scan beside its samples. Extents are (z, y, x).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ScanInfo {
    /// The header's encoded matrix, oversampling included.
    pub encoded_matrix: [usize; 3],
    /// The header's reconstructed matrix.
    pub recon_matrix: [usize; 3],
    /// Field of view of the encoded matrix in mm; 0 where the header does not say.
    pub encoded_fov_mm: [f64; 3],
    /// Field of view of the reconstructed matrix in mm; 0 where the header does not say.
    pub recon_fov_mm: [f64; 3],
    /// Field of view in mm of what was read, its oversampling removed; 0 where the header does not say.
    pub fov_mm: [f64; 3],
    /// The pixels (z, y, x) about the centre that an image of this k-space is to be cut to, where its oversampling is still there:
    /// with lines missing it cannot be taken from k-space, as what folds there lies outside too. `None` where nothing is left to cut.
    pub cut_to: Option<[usize; 3]>,
    /// The counters of the image by name: slice, contrast, phase, repetition, set, average.
    pub counters: Vec<(&'static str, usize)>,
    /// Where it lies in the patient.
    pub placement: Placement,
    /// How k-space was pre-whitened; coil maps of the same channels need the same.
    pub whitening: Option<Whitening>,
    /// What was read, averaged, chosen, cropped: some words for the user.
    pub summary: String,
    /// What may be wrong with the image for it.
    pub warnings: Vec<String>,
}

impl ScanInfo {
    /// Pixel sizes (z, y, x) in mm of an image of these extents (z, y, x) over [`fov_mm`](Self::fov_mm); 0 where that is.
    pub fn voxel_mm(&self, extents: [usize; 3]) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.fov_mm[axis] / extents[axis].max(1) as f64)
    }

    pub(super) fn place(&mut self, at: Counters, line: &Acquisition) {
        self.counters = IMAGE_COUNTERS.iter().copied().zip(at).collect();
        self.placement = Placement::of(line.place);
    }
}

/// (x, y, z) as (z, y, x).
pub(super) fn turned<T: Copy>([x, y, z]: [T; 3]) -> [T; 3] {
    [z, y, x]
}

/// The first sentence with the others behind it.
pub(super) fn joined(first: String, notes: &[String]) -> String {
    notes.iter().fold(first, |all, note| format!("{all}; {note}"))
}
