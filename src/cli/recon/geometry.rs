//! How large an image is, in mm.

use linops::io::ScanInfo;
use serde_json::{Map, Value, json};

/// "64 x 128": extents of an image.
pub fn by(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// (z, y, x) of an image of fewer axes.
fn solid(extents: &[usize]) -> [usize; 3] {
    let at = |axis: usize| (axis + extents.len()).checked_sub(3).map_or(1, |axis| extents[axis]);
    [at(0), at(1), at(2)]
}

/// "54 x 64, 194 x 230 mm, pixels of 3.59 x 3.59 mm"
pub fn said(info: &ScanInfo, extents: &[usize]) -> String {
    let axes = 3 - extents.len().min(3)..3;
    if info.fov_mm[axes.clone()].iter().any(|mm| *mm <= 0.0) {
        return format!("{}, of a field of view that the file does not tell", by(extents));
    }
    let mm = |values: &[f64]| {
        values.iter().map(|mm| crate::cli::printer::short((mm * 100.0).round() / 100.0)).collect::<Vec<_>>().join(" x ")
    };
    let voxel = info.voxel_mm(solid(extents));
    let slice = match (extents.len(), info.fov_mm[0]) {
        (2, thick) if thick > 0.0 => format!(", slice {} mm", mm(&[thick])),
        _ => String::new(),
    };
    format!("{}, {} mm, pixels of {} mm{slice}", by(extents), mm(&info.fov_mm[axes.clone()]), mm(&voxel[axes]))
}

/// The same as JSON; nothing of a file that says nothing.
pub fn facts(info: Option<&ScanInfo>, extents: &[usize]) -> Map<String, Value> {
    let Some(info) = info else { return Map::new() };
    let counters: Map<String, Value> = info.counters.iter().map(|(name, n)| (name.to_string(), json!(n))).collect();
    let placement = &info.placement;
    let whitening = info.whitening.as_ref();
    Map::from_iter([
        ("fov_mm".into(), json!(info.fov_mm)),
        ("voxel_mm".into(), json!(info.voxel_mm(solid(extents)))),
        ("encoded_matrix".into(), json!(info.encoded_matrix)),
        ("recon_matrix".into(), json!(info.recon_matrix)),
        ("counters".into(), Value::Object(counters)),
        ("position_mm".into(), json!(placement.is_known().then_some(placement.position_mm))),
        ("whitened".into(), json!(whitening.is_some())),
        ("scan_warnings".into(), json!(info.warnings)),
    ])
}

/// The pixels (y, x) over the field of view of an image that are as small as the header's image has them, and the pixels that it
/// has: fewer where phase oversampling was kept. `None` where the header says nothing.
pub fn asked_for(info: &ScanInfo) -> Option<([usize; 2], [usize; 2])> {
    let [_, y, x] = info.recon_matrix;
    let whole = |axis: usize, n: usize| {
        let (fov, recon) = (info.fov_mm[axis], info.recon_fov_mm[axis]);
        if fov > 0.0 && recon > 0.0 { (n as f64 * fov / recon).round() as usize } else { n }
    };
    (y > 0 && x > 0).then(|| ([whole(1, y), whole(2, x)], [y, x]))
}
