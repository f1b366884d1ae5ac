//! From a grid to points: an invocation has one point and a block of the batch.

use super::*;
use std::fmt::Write;

/// Taps whose text stands one after the other; the axes in front of those are loops.
const UNROLLED: usize = 64;

pub(super) fn drafts(job: &Job) -> Result<Vec<Draft>> {
    let s = job.s;
    let entries = job.entries(0, BLOCK);
    let mut all = Vec::new();
    for first in (0..job.batch).step_by(entries) {
        let n = entries.min(job.batch - first);
        let start = s.step.store.start + first * job.row.1;
        let results = windows((start as i64, (start + n * job.row.1) as i64 - 1), s.room(job.element()));
        for dst in results {
            // Each result window is made by itself: its first dispatch stores, the others add.
            for (k, source) in job.sources(first, n).into_iter().enumerate() {
                for segment in &job.segments {
                    all.push(dispatch(job, (first, n), dst, source, segment, k > 0)?);
                }
            }
        }
    }
    Ok(all)
}

fn dispatch(
    job: &Job,
    (first, entries): (usize, usize),
    dst: Window,
    source: Window,
    segment: &Segment,
    add: bool,
) -> Result<Draft> {
    let (mut t, mut number) = (Text::new(job.s.complex()), 4);
    t.bind(3, Operand::Value(job.s.step.store.value), job.element(), dst, "read_write", "dst");
    job.read(&mut t, first, entries, source, &mut number)?;
    job.bind_list(&mut t, &segment.records, "records", &mut number);
    let block = BLOCK.min(entries);
    let (row, out) = (t.words.u32(job.row.0 as u32), t.words.u32(job.row.1 as u32));
    let (low, results) = (t.words.u32((first * job.row.0) as u32), t.words.u32(entries as u32));
    let base = t.words.signed((job.s.step.store.start + first * job.row.1) as i64 - dst.first as i64);
    let len = t.words.u32(dst.len as u32);
    let mut f = "fn point(r: u32, b: u32) {\n    let m = records[r];\n".to_string();
    for c in 0..block {
        // Beyond the last entry the last is read again and not stored.
        let _ = writeln!(f, "    let b{c} = min(b + {c}u, {results} - 1u);\n    let at{c} = {low} + b{c} * {row};");
        let _ = writeln!(f, "    var sum{c} = T();");
    }
    match job.weights {
        Weights::Table => tabled(job, &mut t, &mut f, block),
        Weights::Polynomials => computed(job, &mut t, &mut f, block),
    }
    let op = if add { "+=" } else { "=" };
    for c in 0..block {
        let _ = writeln!(f, "    let o{c} = {base} + (b + {c}u) * {out} + m;");
        let _ = writeln!(f, "    if (b + {c}u < {results} && o{c} < {len}) {{\n        dst[o{c}] {op} sum{c};\n    }}");
    }
    f += "}\n";
    t.body += &f;
    t.define("BLOCK", &format!("{block}u"));
    let head = [segment.count as u32, 0, 0, job.width() as u32, entries as u32, 0, 0, 0];
    let blocks = entries.div_ceil(block);
    t.finish("interpolate", head, ((segment.count * blocks) as u64).div_ceil(GROUP as u64))
}

/// Loops over all taps, with weights from the record.
fn tabled(job: &Job, t: &mut Text, f: &mut String, block: usize) {
    let (points, d) = (job.points, job.points.grid().len());
    let weight = job.weight(t);
    let mut pad = "    ".to_string();
    for a in 0..d {
        let (n, taps) = (t.words.u32(points.grid()[a] as u32), t.words.u32(points.taps()[a] as u32));
        let _ = writeln!(f, "{pad}for (var i{a} = 0u; i{a} < {taps}; i{a} += 1u) {{");
        pad += "    ";
        // Below n the difference wraps around to a large number.
        let _ = writeln!(f, "{pad}let c{a} = records[r + {}u] + i{a};\n{pad}let n{a} = min(c{a}, c{a} - {n});", a + 1);
        let flat = if a == 0 { "n0".into() } else { format!("l{} * {n} + n{a}", a - 1) };
        let _ = writeln!(f, "{pad}let l{a} = {flat};");
    }
    let _ = writeln!(f, "{pad}let w = {weight};");
    for c in 0..block {
        let _ = writeln!(f, "{pad}sum{c} += w * value(at{c} + l{}, 0u);", d - 1);
    }
    close(f, &mut pad, d);
}

/// Weights from polynomials. The last axes are written out tap by tap; in a loop over one of the first the weights move up by
/// one in each turn, so that none is looked up by a number.
fn computed(job: &Job, t: &mut Text, f: &mut String, block: usize) {
    let Some(p) = job.points.polynomials() else { return };
    let (points, d) = (job.points, job.points.grid().len());
    let taps = points.taps();
    let straight = (0..d).find(|&a| taps[a..].iter().product::<usize>() <= UNROLLED).unwrap_or(d - 1);
    for (a, pieces) in p.pieces.iter().enumerate() {
        let _ = writeln!(f, "    let s{a} = bitcast<f32>(records[r + {}u]);", 1 + d + a);
        horner::taps(f, "    ", &format!("w{a}"), pieces, &format!("s{a}"));
    }
    let sizes: Vec<String> = points.grid().iter().map(|&n| t.words.u32(n as u32)).collect();
    for a in straight..d {
        for j in 0..taps[a] {
            // Below n the difference wraps around to a large number.
            let _ = writeln!(f, "    let c{a}_{j} = records[r + {}u] + {j}u;", a + 1);
            let _ = writeln!(f, "    let n{a}_{j} = min(c{a}_{j}, c{a}_{j} - {});", sizes[a]);
        }
    }
    let mut pad = "    ".to_string();
    for a in 0..straight {
        for j in 0..taps[a] {
            let _ = writeln!(f, "{pad}var v{a}_{j} = w{a}_{j};");
        }
        let _ = writeln!(f, "{pad}for (var i{a} = 0u; i{a} < {}u; i{a} += 1u) {{", taps[a]);
        pad += "    ";
        let before = if a == 0 { "1.0".to_string() } else { format!("u{}", a - 1) };
        let _ = writeln!(f, "{pad}let u{a} = {before} * v{a}_0;");
        for j in 1..taps[a] {
            let _ = writeln!(f, "{pad}v{a}_{} = v{a}_{j};", j - 1);
        }
        let _ = writeln!(f, "{pad}let c{a} = records[r + {}u] + i{a};", a + 1);
        let cell = format!("min(c{a}, c{a} - {})", sizes[a]);
        let line = if a == 0 { cell } else { format!("l{} * {} + {cell}", a - 1, sizes[a]) };
        let _ = writeln!(f, "{pad}let l{a} = {line};");
    }
    let line = if straight == 0 { "0u".to_string() } else { format!("l{}", straight - 1) };
    let weight = if straight == 0 { None } else { Some(format!("u{}", straight - 1)) };
    rows(f, &pad, &Row { taps, sizes: &sizes, block, line, weight, name: String::new() }, straight);
    close(f, &mut pad, straight);
}

/// A row of cells under way: the axes so far, its flat index along them, and the product of their weights.
struct Row<'a> {
    taps: &'a [usize],
    sizes: &'a [String],
    block: usize,
    line: String,
    weight: Option<String>,
    name: String,
}

/// Adds up all taps along the axes from `a` on.
fn rows(f: &mut String, pad: &str, row: &Row, a: usize) {
    let Row { taps, sizes, block, line, weight, name } = row;
    if a + 1 < taps.len() {
        for j in 0..taps[a] {
            let name = format!("{name}_{j}");
            let _ = writeln!(f, "{pad}let r{name} = {line} * {} + n{a}_{j};", sizes[a]);
            let _ = match weight {
                Some(w) => writeln!(f, "{pad}let p{name} = {w} * w{a}_{j};"),
                None => writeln!(f, "{pad}let p{name} = w{a}_{j};"),
            };
            let (line, weight) = (format!("r{name}"), Some(format!("p{name}")));
            rows(f, pad, &Row { taps, sizes, block: *block, line, weight, name }, a + 1);
        }
        return;
    }
    let _ = writeln!(f, "{pad}let start{name} = {line} * {};", sizes[a]);
    for c in 0..*block {
        let term = |j: usize| format!("w{a}_{j} * value(at{c} + start{name} + n{a}_{j}, 0u)");
        let terms: Vec<String> = (0..taps[a]).map(term).collect();
        let sum = terms.join(&format!("\n{pad}    + "));
        let _ = match weight {
            Some(w) => writeln!(f, "{pad}sum{c} += {w} * ({sum});"),
            None => writeln!(f, "{pad}sum{c} += {sum};"),
        };
    }
}

fn close(f: &mut String, pad: &mut String, loops: usize) {
    for _ in 0..loops {
        pad.truncate(pad.len() - 4);
        let _ = writeln!(f, "{pad}}}");
    }
}
