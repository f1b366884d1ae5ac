//! How large an image is, in mm.

use linops::io::{Geometry, ScanInfo};
use serde_json::{Map, Value, json};

/// "64 x 128": extents of an image.
pub fn by(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// Dims of an image of so many axes, 1 to 3.
pub fn image_dims(count: usize) -> &'static str {
    ["Nx", "Ny Nx", "Nz Ny Nx"][count.clamp(1, 3) - 1]
}

/// (z, y, x) of an image of fewer axes.
fn solid(extents: &[usize]) -> [usize; 3] {
    let at = |axis: usize| (axis + extents.len()).checked_sub(3).map_or(1, |axis| extents[axis]);
    [at(0), at(1), at(2)]
}

/// "54 x 64, 194 x 230 mm, pixels of 3.59 x 3.59 mm" of an image that has `extents` of the `whole` pixels over the field of view of k-space.
pub fn said(info: &ScanInfo, whole: &[usize], extents: &[usize]) -> String {
    let axes = 3 - extents.len().min(3)..3;
    if info.fov_mm[axes.clone()].iter().any(|mm| *mm <= 0.0) {
        return format!("{}, of a field of view that the file does not tell", by(extents));
    }
    let mm = |values: &[f64]| {
        values.iter().map(|mm| crate::cli::printer::short((mm * 100.0).round() / 100.0)).collect::<Vec<_>>().join(" x ")
    };
    let voxel = info.voxel_mm(solid(whole));
    let side: Vec<f64> = axes.clone().map(|axis| voxel[axis] * solid(extents)[axis] as f64).collect();
    let slice = match (extents.len(), info.fov_mm[0]) {
        (2, thick) if thick > 0.0 => format!(", slice {} mm", mm(&[thick])),
        _ => String::new(),
    };
    format!("{}, {} mm, pixels of {} mm{slice}", by(extents), mm(&side), mm(&voxel[axes]))
}

/// The same as JSON; nothing of a file that says nothing.
pub fn facts(info: Option<&ScanInfo>, whole: &[usize], extents: &[usize]) -> Map<String, Value> {
    let Some(info) = info else { return Map::new() };
    let counters: Map<String, Value> = info.counters.iter().map(|(name, n)| (name.to_string(), json!(n))).collect();
    let placement = &info.placement;
    let whitening = info.whitening.as_ref();
    let voxel = info.voxel_mm(solid(whole));
    // The thickness of a slice is no pixel's.
    let side = [0, 1, 2].map(|axis| {
        if axis + extents.len() < 3 { info.fov_mm[axis] } else { voxel[axis] * solid(extents)[axis] as f64 }
    });
    Map::from_iter([
        ("fov_mm".into(), json!(side)),
        ("voxel_mm".into(), json!(voxel)),
        ("encoded_matrix".into(), json!(info.encoded_matrix)),
        ("recon_matrix".into(), json!(info.recon_matrix)),
        ("counters".into(), Value::Object(counters)),
        ("position_mm".into(), json!(placement.is_known().then_some(placement.position_mm))),
        ("whitened".into(), json!(whitening.is_some())),
        ("scan_warnings".into(), json!(info.warnings)),
    ])
}

/// The pixels over the field of view of k-space that are as small as those of the header's image, of so many axes, and the pixels that
/// it has: fewer where oversampling is still there. `None` where the header says nothing.
pub fn asked_for(info: &ScanInfo, axes: usize) -> Option<(Vec<usize>, Vec<usize>)> {
    let own = 3 - axes..3;
    let whole = |axis: usize| {
        let (n, fov, recon) = (info.recon_matrix[axis], info.fov_mm[axis], info.recon_fov_mm[axis]);
        if fov > 0.0 && recon > 0.0 { (n as f64 * fov / recon).round() as usize } else { n }
    };
    let recon = info.recon_matrix[own.clone()].to_vec();
    recon.iter().all(|n| *n > 0).then(|| (own.map(whole).collect(), recon))
}

/// Where an image of these extents lies, whose field of view has `whole` pixels; `None` where the file does not say how large they
/// are.
pub fn placed(info: &ScanInfo, whole: &[usize], extents: &[usize]) -> Option<Geometry> {
    if extents.len() > 3 {
        return None;
    }
    let ([z, y, x], [nz, ny, nx]) = (info.voxel_mm(solid(whole)), solid(extents));
    // A slice whose thickness nobody tells still has a place.
    let voxel = [x, y, if z > 0.0 { z } else { 1.0 }];
    if x <= 0.0 || y <= 0.0 {
        return None;
    }
    let place = &info.placement;
    Some(match place.is_known() {
        true => {
            let directions = [place.read_dir, place.phase_dir, place.slice_dir];
            Geometry::from_lps(place.position_mm, directions, voxel, [nx, ny, nz])
        }
        false => Geometry::of_voxels(voxel, [nx, ny, nz]),
    })
}

/// The order in which so many slices lie one behind the other in even steps, as an affine map has them: as they come, or that of
/// their places; as they come, where no place is known.
///
/// # Errors
/// Why there is none.
pub fn order(slices: &[ScanInfo], count: usize) -> Result<Vec<usize>, String> {
    let as_is: Vec<usize> = (0..count).collect();
    if slices.iter().any(|info| !info.placement.is_known()) {
        return Ok(as_is);
    }
    let unfit = |why: &str| {
        Err(format!("{why}, but a NIfTI volume has slices in even steps; choose some of them, or write .npy"))
    };
    if slices.len() != count {
        return unfit("some slices are missing");
    }
    let in_order = |order: &[usize]| order.iter().map(|&at| &slices[at]).collect::<Vec<_>>();
    if is_even(&in_order(&as_is)) {
        return Ok(as_is);
    }
    let along = slices[0].placement.slice_dir;
    let depth = |at: usize| (0..3).map(|a| along[a] * slices[at].placement.position_mm[a]).sum::<f64>();
    let mut sorted = as_is;
    sorted.sort_by(|a, b| depth(*a).total_cmp(&depth(*b)));
    if is_even(&in_order(&sorted)) { Ok(sorted) } else { unfit("the slices lie at uneven places") }
}

fn is_even(slices: &[&ScanInfo]) -> bool {
    /// Of a step, that places may be rounded by.
    const ROUNDING: f64 = 0.02;
    let places: Vec<[f64; 3]> = slices.iter().map(|info| info.placement.position_mm).collect();
    let steps: Vec<[f64; 3]> = places.windows(2).map(|p| [0, 1, 2].map(|a| p[1][a] - p[0][a])).collect();
    let length = |v: &[f64; 3]| v.iter().map(|c| c * c).sum::<f64>().sqrt();
    let Some(first) = steps.first() else { return true };
    steps.iter().all(|step| length(&[0, 1, 2].map(|a| step[a] - first[a])) <= ROUNDING * length(first))
}

/// Where a stack of slices lies, each with `extents` (y, x) of the `whole` pixels over the field of view of k-space: by the places of
/// its slices, as far as they are known.
pub fn stacked(slices: &[&ScanInfo], whole: &[usize], extents: &[usize]) -> Option<Geometry> {
    let &[ny, nx] = extents else { return None };
    let middle = slices.get(slices.len() / 2)?;
    let [z, y, x] = middle.voxel_mm(solid(whole));
    if x <= 0.0 || y <= 0.0 {
        return None;
    }
    let (place, n) = (&middle.placement, slices.len());
    let [first, last] = [slices.first()?, slices.last()?].map(|info| info.placement.position_mm);
    let away: Vec<f64> = first.iter().zip(&last).map(|(a, b)| b - a).collect();
    let length = away.iter().map(|v| v * v).sum::<f64>().sqrt();
    if !place.is_known() {
        return Some(Geometry::of_voxels([x, y, if z > 0.0 { z } else { 1.0 }], [nx, ny, n]));
    }
    // Slices lie from the first to the last, which may be against their own direction.
    let (along, step) = match length > 0.0 {
        true => ([0, 1, 2].map(|a| away[a] / length), length / (n - 1) as f64),
        false => (place.slice_dir, if z > 0.0 { z } else { 1.0 }),
    };
    let directions = [place.read_dir, place.phase_dir, along];
    Some(Geometry::from_lps(place.position_mm, directions, [x, y, step], [nx, ny, n]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(depths: &[f64]) -> Vec<ScanInfo> {
        let at = |depth: &f64| {
            let mut info = ScanInfo::default();
            let place = &mut info.placement;
            (place.read_dir, place.phase_dir, place.slice_dir) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]);
            place.position_mm = [5.0, 0.0, *depth];
            info
        };
        depths.iter().map(at).collect()
    }

    #[test]
    fn volumes_have_slices_in_even_steps() {
        assert_eq!(order(&slices(&[0.0, 8.0, 16.0]), 3), Ok(vec![0, 1, 2]));
        assert_eq!(order(&slices(&[16.0, 8.0, 0.0]), 3), Ok(vec![0, 1, 2]));
        // Interleaved.
        assert_eq!(order(&slices(&[0.0, 16.0, 8.0, 24.0]), 4), Ok(vec![0, 2, 1, 3]));
        assert!(order(&slices(&[0.0, 6.0, 18.0]), 3).unwrap_err().contains("uneven places"));
        assert!(order(&slices(&[0.0, 6.0]), 3).unwrap_err().contains("missing"));
        assert_eq!(order(&[ScanInfo::default(), ScanInfo::default()], 3), Ok(vec![0, 1, 2]));
    }
}
