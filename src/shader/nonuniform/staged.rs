//! A spread whose workgroups share what they read: a batch of footprints at a time goes into workgroup memory, with their
//! samples and with weights that are made once for all cells, and each invocation adds up the batch for the cell it owns.
//!
//! Rows of a tile along the first axis lie in whole subgroups of 16 or 32 (a plane of a 3-D tile in one of 32), so that a
//! footprint which misses a row is skipped by all of its invocations together. The order of each sum is the list's.

use super::spread::Common;
use super::*;
use std::fmt::Write;

/// The declarations and `fn add_up(first, last, b, lid)` with `sum…` in its scope: what stands between the start and the stores
/// of `tile_part`.
pub(super) fn body(job: &Job, t: &mut Text, f: &mut String, common: &Common, batch: usize) {
    let Common { block, places, begin, count, row, low, results } = common;
    let (points, d, stride) = (job.points, job.points.grid().len(), job.points.stride());
    let width = job.width();
    let mut declared = format!("var<workgroup> staged_first: array<u32, {batch}>;\n");
    let _ = writeln!(declared, "var<workgroup> staged_weights: array<f32, {}>;", batch * stride);
    let _ = writeln!(declared, "var<workgroup> staged_samples: array<T, {}>;\n", batch * block);
    t.body.insert_str(0, &declared);

    // A batch: which footprints, their samples, their weights. What is not of this segment of points touches no cell.
    let _ = writeln!(f, "    for (var e = first; e < last; e += {batch}u) {{");
    let _ = writeln!(f, "        let n = min(last - e, {batch}u);");
    let _ = writeln!(
        f,
        "        if (lid < n) {{
            let s = entries[2u * (e + lid)] - {begin};
            staged_first[lid] = select(0xffffffffu, entries[2u * (e + lid) + 1u], s < {count});
        }}
        for (var k = lid; k < {}u; k += {CELLS}u) {{
            let q = k % {batch}u;
            let c = k / {batch}u;
            let s = entries[2u * (e + min(q, n - 1u))] - {begin};
            if (q < n && s < {count}) {{
                let at = {low} + min(b + c, {results} - 1u) * {row};
                staged_samples[q * {block}u + c] = value(at + records[s * {width}u], 0u);
            }}
        }}",
        batch * block
    );
    match (job.weights, points.polynomials()) {
        (Weights::Polynomials, Some(p)) => {
            let equal = p.pieces.iter().all(|o| o == &p.pieces[0]);
            // One polynomial for all axes, or one axis after the other.
            let runs: Vec<usize> = if equal { vec![0] } else { (0..d).collect() };
            for a in runs {
                let axes = if equal { d } else { 1 };
                let taps = points.taps();
                let before: usize = taps[..a].iter().sum();
                let _ = write!(
                    f,
                    "        for (var k = lid; k < {}u; k += {CELLS}u) {{
            let q = k % {batch}u;
            let axis = k / {batch}u;
            let s = entries[2u * (e + min(q, n - 1u))] - {begin};
            if (q < n && s < {count}) {{
                let f = bitcast<f32>(records[s * {width}u + {}u + axis]);
                let o = q * {stride}u + {before}u + axis * {}u;
",
                    batch * axes,
                    1 + d + a,
                    taps[a]
                );
                horner::taps(f, "                ", "w", &p.pieces[a], "f");
                for j in 0..taps[a] {
                    let _ = writeln!(f, "                staged_weights[o + {j}u] = w_{j};");
                }
                *f += "            }\n        }\n";
            }
        }
        _ => {
            let _ = writeln!(
                f,
                "        for (var k = lid; k < n * {stride}u; k += {CELLS}u) {{
            let q = k / {stride}u;
            let s = entries[2u * (e + q)] - {begin};
            if (s < {count}) {{
                staged_weights[k] = bitcast<f32>(records[s * {width}u + {}u + k - q * {stride}u]);
            }}
        }}",
                1 + d
            );
        }
    }
    *f += "        workgroupBarrier();\n";
    *f += "        for (var k = 0u; k < n; k += 1u) {\n            let packed = staged_first[k];\n";
    let mut pad = "            ".to_string();
    for (a, place) in places.iter().enumerate() {
        // Before the footprint the difference wraps around to a large number.
        let _ = writeln!(f, "{pad}let i{a} = {place} + {BIAS}u - ((packed >> {}u) & 1023u);", 10 * a);
        let _ = writeln!(f, "{pad}if (i{a} < {}u) {{", points.taps()[a]);
        pad += "    ";
    }
    let weight = if points.is_radial() {
        let at = (1..d).fold("i0".to_string(), |at, a| format!("({at}) * {}u + i{a}", points.taps()[a]));
        format!("staged_weights[k * {stride}u + {at}]")
    } else {
        let before = |a: usize| points.taps()[..a].iter().sum::<usize>();
        let one = |a: usize| format!("staged_weights[k * {stride}u + {}u + i{a}]", before(a));
        (0..d).map(one).collect::<Vec<_>>().join(" * ")
    };
    let _ = writeln!(f, "{pad}let w = {weight};");
    for c in 0..*block {
        let _ = writeln!(f, "{pad}sum{c} += w * staged_samples[k * {block}u + {c}u];");
    }
    for _ in 0..d {
        pad.truncate(pad.len() - 4);
        let _ = writeln!(f, "{pad}}}");
    }
    // Nothing of the next batch may come before the last of this one is read.
    *f += "        }\n        workgroupBarrier();\n    }\n";
}
