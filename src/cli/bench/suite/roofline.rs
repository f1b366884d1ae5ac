//! Steps over the roof of their device, as a picture (SVG): flops a second over flops a byte, both by powers of ten.

use crate::cli::gaps::Gap;
use linops::profile::Roof;
use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 600.0;
const MARGIN: f64 = 70.0;
/// Where the names of kernels stand.
const LEGEND: f64 = 170.0;

const COLOURS: [&str; 10] =
    ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000", "#ee7733", "#009988"];

/// A range of powers of ten along an axis, and where they stand.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// The powers around these values, which are positive.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let logs: Vec<f64> = values.filter(|v| *v > 0.0 && v.is_finite()).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match low <= high {
            true => Axis { low: low.floor() as i32, high: (high.ceil() as i32).max(low.floor() as i32 + 1), from, to },
            false => Axis { low: 0, high: 1, from, to },
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(1e-300).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + part * (self.to - self.from)
    }
}

/// The picture of steps that compute; copies have no place in it.
pub fn svg(gaps: &[Gap], roof: &Roof, title: &str) -> String {
    let points: Vec<(&Gap, f64, f64)> = gaps
        .iter()
        .filter(|g| g.step.cost.flops > 0 && g.step.seconds > 0.0 && g.step.bytes() > 0)
        .map(|g| {
            let flops = g.step.cost.flops as f64;
            (g, flops / g.step.bytes() as f64, flops / g.step.seconds)
        })
        .collect();
    let bandwidth = roof.copies.last().map_or(0.0, |c| c.bytes as f64 / c.seconds);
    let ridge = roof.flops / bandwidth.max(1.0);
    let x = Axis::around(points.iter().map(|p| p.1).chain([ridge, 0.1 * ridge]), MARGIN, WIDTH - LEGEND);
    let low = x.low;
    let ends = [roof.flops, bandwidth * 10f64.powi(low)];
    let y = Axis::around(points.iter().map(|p| p.2).chain(ends), HEIGHT - MARGIN, MARGIN / 2.0);
    let mut names: Vec<&str> = points.iter().map(|(g, ..)| g.step.kernel).collect();
    names.sort_unstable();
    names.dedup();
    let colour = |kernel: &str| COLOURS[names.iter().position(|n| *n == kernel).unwrap_or(0) % COLOURS.len()];
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = write_all(&mut out, &x, &y, |out| {
        for (g, intensity, rate) in &points {
            let told =
                escaped(&format!("{}: {} {}, {:.1} µs", g.work, g.step.kernel, g.step.details, 1e6 * g.step.seconds));
            writeln!(
                out,
                r#"<circle cx="{:.1}" cy="{:.1}" r="4" fill="{}" fill-opacity="0.7"><title>{told}</title></circle>"#,
                x.at(*intensity),
                y.at(*rate),
                colour(g.step.kernel)
            )?;
        }
        // The roof: bytes up to the ridge, flops behind it.
        let right = 10f64.powi(x.high);
        let corners =
            [(10f64.powi(x.low), bandwidth * 10f64.powi(x.low)), (ridge, roof.flops), (right.max(ridge), roof.flops)];
        let path: Vec<String> = corners.iter().map(|(i, r)| format!("{:.1},{:.1}", x.at(*i), y.at(*r))).collect();
        writeln!(out, r##"<polyline points="{}" fill="none" stroke="#333" stroke-width="2"/>"##, path.join(" "))?;
        for (k, name) in names.iter().enumerate() {
            let at = MARGIN / 2.0 + 18.0 * k as f64;
            let left = WIDTH - LEGEND + 20.0;
            writeln!(out, r#"<circle cx="{left}" cy="{at}" r="4" fill="{}"/>"#, colour(name))?;
            writeln!(out, r#"<text x="{}" y="{}">{}</text>"#, left + 10.0, at + 4.0, escaped(name))?;
        }
        let (middle, bottom) = (0.5 * (x.from + x.to), HEIGHT - 15.0);
        let head = format!("{title}: {:.1} GB/s, {:.1} Gflop/s at best", 1e-9 * bandwidth, 1e-9 * roof.flops);
        writeln!(out, r#"<text x="{}" y="20">{}</text>"#, x.from, escaped(&head))?;
        writeln!(out, r#"<text x="{middle}" y="{bottom}" text-anchor="middle">flop per byte</text>"#)?;
        let across = 0.5 * (y.from + y.to);
        writeln!(
            out,
            r#"<text x="18" y="{across}" text-anchor="middle" transform="rotate(-90 18 {across})">flop/s</text>"#
        )
    });
    out
}

/// The frame with its grid of powers of ten, and what stands in it.
fn write_all(
    out: &mut String,
    x: &Axis,
    y: &Axis,
    inside: impl FnOnce(&mut String) -> std::fmt::Result,
) -> std::fmt::Result {
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(out, r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#)?;
    for power in x.low..=x.high {
        let at = x.at(10f64.powi(power));
        writeln!(out, r##"<line x1="{at:.1}" y1="{}" x2="{at:.1}" y2="{}" stroke="#ddd"/>"##, y.from, y.to)?;
        writeln!(out, r#"<text x="{at:.1}" y="{}" text-anchor="middle">1e{power}</text>"#, y.from + 18.0)?;
    }
    for power in y.low..=y.high {
        let at = y.at(10f64.powi(power));
        writeln!(out, r##"<line x1="{}" y1="{at:.1}" x2="{}" y2="{at:.1}" stroke="#ddd"/>"##, x.from, x.to)?;
        writeln!(out, r#"<text x="{}" y="{:.1}" text-anchor="end">1e{power}</text>"#, x.from - 6.0, at + 4.0)?;
    }
    inside(out)?;
    writeln!(out, "</svg>")
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
