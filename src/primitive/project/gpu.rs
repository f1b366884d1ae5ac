//! Projections and back-projections on a GPU: an invocation owns one result of each of a few batch entries.

use super::scan::VIEW;
use super::{Model, ProjectKernel};
use crate::error::Result;
use crate::plan::GpuKernel;
use crate::shader::{Along, Chunk, Draft, KernelFile, List, Listed, PerResult, Read, Stepper, Text, WORK, Window, word};

const FIXED: (&str, &str) = ("fixed", include_str!("fixed.wgsl"));
const VIEWS: (&str, &str) = ("views", include_str!("views.wgsl"));
const PROJECT: KernelFile = KernelFile { name: "project", text: include_str!("project.wgsl"), imports: &[FIXED] };
const BACK: KernelFile = KernelFile { name: "back_project", text: include_str!("back_project.wgsl"), imports: &[FIXED] };
const SAMPLE: KernelFile = KernelFile { name: "sample_views", text: include_str!("sample.wgsl"), imports: &[FIXED, VIEWS] };
const SPREAD: KernelFile = KernelFile { name: "spread_pixels", text: include_str!("spread.wgsl"), imports: &[FIXED, VIEWS] };

/// Batch entries of one invocation: what a ray touches is found once for them.
const BLOCK: usize = 4;

impl GpuKernel for ProjectKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        s.drafts(self)
    }
}

impl ProjectKernel {
    /// Bytes that the reads of one result move at most.
    fn reads_per_result(&self, element: u64) -> u64 {
        let (g, [nz, ny, nx]) = (self.scan.geometry(), self.scan.image());
        let across = ny.max(nx) as u64;
        // Detector pixels that an image pixel spans, and the other way round.
        let per_pixel = (g.pixel_size / g.detector_size).ceil().max(1.0) as u64 + 2;
        let per_detector = (g.detector_size / g.pixel_size).ceil().max(1.0) as u64 + 2;
        let [.., slices] = self.scan.slices_per_row();
        let taps = |n: f64| if g.is_volume() { n.ceil().clamp(1.0, 1e6) as u64 + 2 } else { 1 };
        let (rows, slices) = (taps(1.0 / slices).min(g.rows as u64), taps(slices).min(nz as u64));
        let views = g.angles.len() as u64;
        match (self.model, self.back) {
            (Model::Rays, false) => across * 4 * (element + 4),
            (Model::Rays, true) => views * (32 + 2 * per_pixel * (32 + rows * element)),
            (Model::Pixels, true) => views * (64 + 4 * element),
            (Model::Pixels, false) => across * 3 * per_detector * (16 + slices * element),
        }
    }

    /// Batch entries of one invocation; one, where a dispatch has no time for several.
    fn block(&self) -> usize {
        let work = self.reads_per_result(8).saturating_mul((BLOCK * self.row()) as u64);
        if work > WORK { 1 } else { BLOCK.min(self.load.extents[0]) }
    }

    /// The views that a chunk has, where its results are of views.
    fn views_of(&self, chunk: Chunk) -> (usize, usize) {
        let g = self.scan.geometry();
        let (row, view) = (self.row(), g.rows * g.detectors);
        match chunk.count >= row {
            true => (0, g.angles.len()),
            false => (chunk.first % row / view, (chunk.first % row + chunk.count).div_ceil(view)),
        }
    }
}

impl PerResult for ProjectKernel {
    fn reads(&self) -> Vec<Read> {
        vec![Read::whole(&self.load)]
    }

    /// Stretches of one batch entry, or whole entries.
    fn chunks(&self, s: &Stepper) -> Vec<Chunk> {
        let (row, most) = (self.row(), s.most_results(s.element() + self.reads_per_result(s.element())));
        if !s.store.is_contiguous(s.len) {
            // Runs of results that lie beside each other are made of entries, or entries of runs.
            let run = s.store.run.min(row);
            return match most / s.store.pitch {
                0 => s.pieces(run, most.min(run)),
                runs => s.pieces(row, (runs * s.store.run).min(row)),
            };
        }
        match most / row {
            0 => s.pieces(row, most),
            entries => s.pieces(s.len, (entries * row).min(s.len)),
        }
    }

    fn reach(&self, chunk: Chunk) -> (usize, usize) {
        let (entry, row) = (self.load.extents[1], self.row());
        (chunk.first / row * entry, (chunk.first + chunk.count).div_ceil(row) * entry)
    }

    fn lists(&self, chunk: Chunk) -> Vec<Listed> {
        let g = self.scan.geometry();
        let (first, end) = if self.back { (0, g.angles.len()) } else { self.views_of(chunk) };
        let mut lists = Vec::new();
        if self.model == Model::Rays {
            let (list, words) = (List::shared(self.scan.rays()), g.detectors * self.scan.ray_words());
            lists.push(Listed { name: "rays", list, footprint: ((first * words) as i64, (end * words) as i64 - 1) });
        }
        if self.model == Model::Pixels || self.back {
            let footprint = ((first * VIEW) as i64, (end * VIEW) as i64 - 1);
            lists.push(Listed { name: "views", list: List::shared(self.scan.views()), footprint });
        }
        lists
    }

    fn along(&self, _: &Stepper) -> &'static [Along] {
        &[]
    }

    fn assemble(&self, t: &mut Text, reads: usize, lists: &[Window], _: Option<Along>) -> Result<()> {
        let (g, [nz, ny, nx]) = (self.scan.geometry(), self.scan.image());
        t.param(if self.back { "data" } else { "image" }, word("a batch entry", self.load.extents[1])?);
        t.param("row", word("a batch entry", self.row())?);
        for (name, n) in
            [("columns", nx), ("lines", ny), ("slices", nz), ("detectors", g.detectors), ("height", g.rows)]
        {
            t.param(name, word("an axis", n)?);
        }
        let rays = self.model == Model::Rays;
        let mut lists = lists.iter();
        for (used, names) in
            [(rays, ["begin", "end"]), (!rays || self.back, ["view_begin", "view_end"])]
        {
            if let Some(w) = used.then(|| lists.next()).flatten() {
                t.param(names[0], word("a list", usize::try_from(w.first).unwrap_or(usize::MAX))?);
                t.param(names[1], word("a list", usize::try_from(w.first + w.len).unwrap_or(usize::MAX))?);
            }
        }
        if !rays {
            let row = self.scan.row();
            let [n0, n1, middle] = row.words();
            t.wrapping_param("row_n0", n0);
            t.wrapping_param("row_n1", n1);
            t.wrapping_param("row_middle", middle);
            t.param("rows_per_slice", narrow(row.rough[0]).to_bits());
            t.param("source_slice", narrow(row.rough[1]).to_bits());
        }
        t.defines.set("BLOCK", self.block());
        t.defines.set("RAY", format!("{}u", self.scan.ray_words()));
        if g.is_volume() {
            t.defines.set("VOLUME", "");
        }
        t.value_of(reads);
        Ok(())
    }

    fn file(&self, _: Option<Along>) -> (KernelFile, u64) {
        let file = match (self.model, self.back) {
            (Model::Rays, false) => PROJECT,
            (Model::Rays, true) => BACK,
            (Model::Pixels, true) => SAMPLE,
            (Model::Pixels, false) => SPREAD,
        };
        (file, 256)
    }
}

#[allow(clippy::cast_possible_truncation)]
fn narrow(x: f64) -> f32 {
    x as f32
}
