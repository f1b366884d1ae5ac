//! In which units a file holds its trajectory: by how far it reaches, against the header's matrix and field of view.
//!
//! The format leaves the units open. Those that are met: cycles per pixel (within ±0.5), cycles per field of view (up to N/2),
//! rad per pixel (up to π), 1/m (up to N/2 per field of view) and rad/m.

use super::header::Header;
use std::f64::consts::{PI, TAU};

/// Coordinates that are relative to the matrix stay within this, but for rounding.
const RELATIVE: f64 = 0.5 * 1.001;

/// How coordinates become cycles per encoded field of view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Units {
    /// Factors of x, y and z.
    pub factor: [f64; 3],
    /// What they are, for the user.
    pub name: String,
    /// What contradicts the header, if anything does.
    pub warning: Option<String>,
}

/// One possibility: its name, its factors, and the parts of the reach N/2 within which it is believed.
struct Candidate {
    name: String,
    factor: [f64; 3],
    within: [f64; 2],
}

impl Units {
    /// Of coordinates that reach so far along x, y and z.
    pub(super) fn of(reach: &[f64], header: &Header) -> Units {
        let matrix = header.encoded.map(|n| n as f64);
        let part = |factor: &[f64; 3]| -> f64 {
            (0..reach.len()).map(|d| reach[d] * factor[d] / (matrix[d] / 2.0)).fold(0.0, f64::max)
        };
        let sizes: Vec<String> = header.encoded[..reach.len()].iter().rev().map(usize::to_string).collect();
        let sizes = sizes.join(" x ");
        let relative = Candidate {
            name: format!("within ±0.5 in the file, times the encoded matrix {sizes}"),
            factor: matrix,
            within: [0.6, 1.1],
        };
        let cycles = Candidate {
            name: "cycles per field of view, as in the file".into(),
            factor: [1.0; 3],
            within: [0.6, 1.15],
        };
        let largest = reach.iter().fold(0.0f64, |a, b| a.max(*b));
        let metres = header.encoded_fov.map(|mm| mm / 1e3);
        let known = metres[..reach.len()].iter().all(|m| *m > 0.0);
        let mut others = vec![Candidate {
            name: format!("rad per pixel of the encoded matrix {sizes}"),
            factor: matrix.map(|n| n / TAU),
            within: [0.85, 1.02],
        }];
        if known {
            let fov = |unit: &str, factor: f64| Candidate {
                name: format!("{unit}, times the encoded field of view"),
                factor: metres.map(|m| m * factor),
                within: [0.85, 1.02],
            };
            others.extend([fov("1/m", 1.0), fov("rad/m", 1.0 / TAU), fov("1/mm", 1e3)]);
        }
        let fits = |c: &Candidate| (c.within[0]..=c.within[1]).contains(&part(&c.factor));
        let usual = if largest <= RELATIVE { &relative } else { &cycles };
        let found = if fits(usual) { None } else { others.iter().find(|c| fits(c)) };
        match found {
            _ if largest == 0.0 => Units { factor: [1.0; 3], name: cycles.name.clone(), warning: None },
            Some(found) => Units {
                factor: found.factor,
                name: format!("{}: its reach of {largest:.4} fits the header so", found.name),
                warning: None,
            },
            None if !fits(usual) && largest > RELATIVE && fits(&relative) => {
                Units { factor: relative.factor, name: relative.name, warning: None }
            }
            None => {
                let part = part(&usual.factor);
                let warning = (!(0.3..=1.3).contains(&part)).then(|| {
                    format!(
                        "the trajectory reaches {largest:.4}, taken as {}: {:.0} % of what the header's matrix {sizes} needs; it may be \
                         in other units (rad per pixel reach {PI:.2}{})",
                        if largest <= RELATIVE { "cycles per pixel" } else { "cycles per field of view" },
                        100.0 * part,
                        if known { format!(", 1/m {:.0}", matrix[0] / 2.0 / metres[0]) } else { String::new() }
                    )
                });
                Units { factor: usual.factor, name: usual.name.clone(), warning }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::sample;
    use super::*;

    #[test]
    fn the_reach_tells_the_units() {
        // 48 x 48 over 300 mm.
        let xml = sample([48, 48, 1], [48, 48, 1], 24).replace("<x>96</x><y>96</y>", "<x>300</x><y>300</y>");
        let header = Header::parse(&xml, 0).unwrap();
        for (reach, factor, name) in [
            (0.5, 48.0, "±0.5"),
            (0.49, 48.0, "±0.5"),
            (0.52, 48.0, "±0.5"),
            (24.0, 1.0, "cycles per field of view"),
            (20.0, 1.0, "cycles per field of view"),
            (PI, 48.0 / TAU, "rad per pixel"),
            (80.0, 0.3, "1/m"),
            (80.0 * TAU, 0.3 / TAU, "rad/m"),
            (0.08, 300.0, "1/mm"),
        ] {
            let units = Units::of(&[reach, 0.9 * reach], &header);
            assert!((units.factor[0] - factor).abs() < 1e-9 && units.name.contains(name), "{reach}: {units:?}");
            assert_eq!(units.warning, None, "{reach}");
        }
        for reach in [1.0, 0.02, 40.0, 1000.0] {
            let warning = Units::of(&[reach, reach], &header).warning.unwrap();
            assert!(warning.contains("units") && warning.contains("1/m 80"), "{warning}");
        }
    }
}
