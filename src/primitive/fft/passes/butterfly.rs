//! Straight-line WGSL for one DFT of a short length held in registers.
//!
//! The text is a list of `let` lines without loops or arrays, because drivers neither unroll the loops that reach them
//! nor keep dynamically indexed arrays in registers. Every constant is computed in f64 and rounded once.
//!
//! Lengths with coprime factors use the prime-factor map (Good 1958), which needs no twiddles; prime powers use
//! decimation in time (Cooley and Tukey 1965); odd primes pair `x[j]` with `x[p-j]`, which halves the multiplies.

use std::collections::HashSet;
use std::f64::consts::TAU;
use std::fmt::Write;

/// Lines of WGSL that bind complex values to fresh names.
#[derive(Default)]
pub(super) struct Code {
    text: String,
    names: usize,
}

/// A value that is known to be zero: what is added to it or multiplied takes no line.
pub(super) const ZERO: &str = "vec2<f32>()";

/// `STEM_0`, `STEM_1` …
pub(super) fn named(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|q| format!("{stem}_{q}")).collect()
}

impl Code {
    /// Adds one line, indented for the body of `main`.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    /// A name that no other line of this body uses.
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    /// Binds an expression to a fresh name.
    pub(super) fn bind(&mut self, expression: &str) -> String {
        let name = self.fresh();
        self.line(&format!("let {name} = {expression};"));
        name
    }

    fn add(&mut self, a: &str, b: &str) -> String {
        match (a, b) {
            (ZERO, v) | (v, ZERO) => v.into(),
            _ => self.bind(&format!("{a} + {b}")),
        }
    }

    fn subtract(&mut self, a: &str, b: &str) -> String {
        match (a, b) {
            (v, ZERO) => v.into(),
            (ZERO, v) => self.bind(&format!("-{v}")),
            _ => self.bind(&format!("{a} - {b}")),
        }
    }

    /// Gives those values that are wanted their names in a kernel's file: `STEM_0`, `STEM_1` …. Lines that none of them needs go.
    pub(super) fn call_them(&mut self, stem: &str, values: &[String], wanted: impl Fn(usize) -> bool) {
        for (q, (name, value)) in named(stem, values.len()).iter().zip(values).enumerate() {
            if wanted(q) {
                self.line(&format!("let {name} = {value};"));
            }
        }
        if !(0..values.len()).all(wanted) {
            self.keep_what_is_needed(stem);
        }
    }

    /// Leaves out every line whose value neither is one of the stem's names nor is read by a line behind it.
    fn keep_what_is_needed(&mut self, stem: &str) {
        let results = format!("{stem}_");
        let (mut needed, mut kept) = (HashSet::new(), Vec::new());
        for line in self.text.lines().rev() {
            let Some((name, value)) = line.trim_start().trim_start_matches("let ").split_once(" = ") else { continue };
            if name.starts_with(&results) || needed.contains(name) {
                needed.extend(value.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
                kept.push(line);
            }
        }
        self.text = kept.iter().rev().fold(String::new(), |text, line| text + line + "\n");
    }

    /// The text since the last time, without the indentation of its first line. Names go on.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text).trim().to_string()
    }

    /// The forward DFT of the values named in `x`: `y[k] = Σ x[n] exp(-2πi nk/N)`; the names of `y`, in order.
    pub(super) fn dft(&mut self, x: &[String]) -> Vec<String> {
        match x.len() {
            0 | 1 => x.to_vec(),
            2 => vec![self.add(&x[0], &x[1]), self.subtract(&x[0], &x[1])],
            4 => self.dft4(x),
            n => match split(n) {
                None => self.odd_prime(x),
                Some((a, b)) if gcd(a, b) == 1 => self.prime_factor(x, a, b),
                Some((a, b)) => self.decimate(x, a, b),
            },
        }
    }

    fn dft4(&mut self, x: &[String]) -> Vec<String> {
        let even = self.dft(&[x[0].clone(), x[2].clone()]);
        let odd = self.dft(&[x[1].clone(), x[3].clone()]);
        let turned = self.turn(&odd[1], 1, 4);
        vec![
            self.add(&even[0], &odd[0]),
            self.add(&even[1], &turned),
            self.subtract(&even[0], &odd[0]),
            self.subtract(&even[1], &turned),
        ]
    }

    /// `a` × `b` coprime: `n = b·n₁ + a·n₂`, and `k` by the Chinese remainder of `k₁`, `k₂`; no twiddles.
    fn prime_factor(&mut self, x: &[String], a: usize, b: usize) -> Vec<String> {
        let n = a * b;
        let rows: Vec<Vec<String>> = (0..b)
            .map(|n2| {
                let row: Vec<String> = (0..a).map(|n1| x[(b * n1 + a * n2) % n].clone()).collect();
                self.dft(&row)
            })
            .collect();
        let columns: Vec<Vec<String>> = (0..a)
            .map(|k1| {
                let column: Vec<String> = rows.iter().map(|row| row[k1].clone()).collect();
                self.dft(&column)
            })
            .collect();
        (0..n).map(|k| columns[k % a][k % b].clone()).collect()
    }

    /// `n = b·n₁ + n₂`, `k = k₁ + a·k₂`, with twiddles `w_N^(n₂ k₁)` between the two layers.
    fn decimate(&mut self, x: &[String], a: usize, b: usize) -> Vec<String> {
        let n = a * b;
        let rows: Vec<Vec<String>> = (0..b)
            .map(|n2| {
                let row: Vec<String> = (0..a).map(|n1| x[b * n1 + n2].clone()).collect();
                let row = self.dft(&row);
                row.iter().enumerate().map(|(k1, v)| self.turn(v, n2 * k1, n)).collect()
            })
            .collect();
        let columns: Vec<Vec<String>> = (0..a)
            .map(|k1| {
                let column: Vec<String> = rows.iter().map(|row| row[k1].clone()).collect();
                self.dft(&column)
            })
            .collect();
        (0..n).map(|k| columns[k % a][k / a].clone()).collect()
    }

    /// `X[k], X[p-k] = A ∓ iB` with `A = x₀ + Σ cos·(x_j + x_{p-j})`, `B = Σ sin·(x_j - x_{p-j})`.
    fn odd_prime(&mut self, x: &[String]) -> Vec<String> {
        let p = x.len();
        let half = p / 2;
        if x.iter().all(|v| v == ZERO) {
            return x.to_vec();
        }
        let sums: Vec<String> = (1..=half).map(|j| self.add(&x[j], &x[p - j])).collect();
        let differences: Vec<String> = (1..=half).map(|j| self.subtract(&x[j], &x[p - j])).collect();
        let given = |values: &[String]| values.iter().filter(|v| *v != ZERO).cloned().collect::<Vec<_>>();
        let from = |code: &mut Self, terms: &[String]| match terms {
            [] => x[0].clone(),
            _ if x[0] == ZERO => code.bind(&terms.join(" + ")),
            _ => code.bind(&format!("{} + ({})", x[0], terms.join(" + "))),
        };
        let mut y = vec![String::new(); p];
        y[0] = from(self, &given(&sums));
        for k in 1..=half {
            let angle = |j: usize| TAU * ((j * k) % p) as f64 / p as f64;
            let terms = |values: &[String], f: fn(f64) -> f64| -> Vec<String> {
                let all = values.iter().enumerate().filter(|(_, v)| *v != ZERO);
                all.map(|(j, v)| format!("{v}*{}", literal(f(angle(j + 1))))).collect()
            };
            let even = from(self, &terms(&sums, f64::cos));
            let odd = terms(&differences, f64::sin);
            if odd.is_empty() {
                (y[k], y[p - k]) = (even.clone(), even);
                continue;
            }
            let odd = self.bind(&odd.join(" + "));
            y[k] = self.bind(&format!("{even} + vec2<f32>({odd}.y, -{odd}.x)"));
            y[p - k] = self.bind(&format!("{even} - vec2<f32>({odd}.y, -{odd}.x)"));
        }
        y
    }

    /// `v · exp(-2πi e/n)`; multiples of an eighth of a turn cost no general multiply.
    fn turn(&mut self, v: &str, e: usize, n: usize) -> String {
        let e = e % n;
        if v == ZERO {
            return v.into();
        }
        let half = literal(std::f64::consts::FRAC_1_SQRT_2);
        let eighth = if (8 * e).is_multiple_of(n) { Some(8 * e / n) } else { None };
        let expression = match eighth {
            Some(0) => return v.to_string(),
            Some(1) => format!("vec2<f32>({v}.x + {v}.y, {v}.y - {v}.x) * {half}"),
            Some(2) => format!("vec2<f32>({v}.y, -{v}.x)"),
            Some(3) => format!("vec2<f32>({v}.y - {v}.x, -{v}.x - {v}.y) * {half}"),
            Some(4) => format!("-{v}"),
            Some(5) => format!("vec2<f32>(-{v}.x - {v}.y, {v}.x - {v}.y) * {half}"),
            Some(6) => format!("vec2<f32>(-{v}.y, {v}.x)"),
            Some(_) => format!("vec2<f32>({v}.x - {v}.y, {v}.x + {v}.y) * {half}"),
            None => {
                let angle = -TAU * e as f64 / n as f64;
                let (re, im) = (literal(angle.cos()), literal(angle.sin()));
                format!("vec2<f32>({v}.x*{re} - {v}.y*{im}, {v}.x*{im} + {v}.y*{re})")
            }
        };
        self.bind(&expression)
    }
}

/// An f32 literal of WGSL that parses back to the rounded value; a negative one in parentheses, since `--` is reserved.
pub(super) fn literal(value: f64) -> String {
    let value = value as f32;
    if value < 0.0 { format!("({value:?}f)") } else { format!("{value:?}f") }
}

/// The two factors that a register DFT of length `n` splits into; `None` for a prime.
fn split(n: usize) -> Option<(usize, usize)> {
    let p = (2..=n).find(|p| n.is_multiple_of(*p))?;
    let mut power = p;
    while (n / power).is_multiple_of(p) {
        power *= p;
    }
    if power != n {
        return Some((power, n / power));
    }
    // A prime power: the halves as equal as possible.
    let mut a = p;
    while a * a * p * p <= n {
        a *= p;
    }
    if a == n { None } else { Some((a, n / a)) }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_multiply_to_the_length() {
        for n in 4..=64 {
            match split(n) {
                Some((a, b)) => {
                    assert_eq!(a * b, n);
                    assert!(a > 1 && b > 1);
                }
                None => assert!((2..n).all(|p| n % p != 0), "{n} is not prime"),
            }
        }
        assert_eq!(split(64), Some((8, 8)));
        assert_eq!(split(16), Some((4, 4)));
        assert_eq!(split(9), Some((3, 3)));
        assert_eq!(split(8), Some((2, 4)));
    }

    #[test]
    fn literals_are_f32_tokens() {
        assert_eq!(literal(1.0), "1.0f");
        assert_eq!(literal(-0.5), "(-0.5f)");
        assert_eq!(literal(std::f64::consts::FRAC_1_SQRT_2), "0.70710677f");
    }
}
