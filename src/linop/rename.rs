//! What the dims of a linop are called.

use super::{Linop, Node};
use crate::dim::{Dim, Shape, ToDims, called};
use crate::error::Result;

impl Linop {
    /// The same linop under the names of its input: an output dim that is of the family of an input dim that is gone, as `Nx1` is
    /// of `Nx`'s, takes its name. Where several of a family are gone they are taken in order; where not as many came, all stay
    /// as they are.
    ///
    /// fft, pad, crop, slice, embed, downsample, upsample and what else changes dims give them the next unused name, since
    /// values at other positions are easily confused. This takes that back, for any linop, a chain too.
    ///
    /// ```
    /// use linops::linop::{self, Align};
    /// let f = linop::fft("C=8 Ny=4 Nx=6", "Ny Nx", Default::default())?;
    /// assert_eq!(f.output()?.to_string(), "C=8 Ny1=4 Nx1=6");
    /// assert_eq!(f.keep().output()?.to_string(), "C=8 Ny=4 Nx=6");
    /// let a = linop::pad(f.output()?, "Nx1=9", Align::Center)? * f;
    /// assert_eq!(a.keep().output()?.to_string(), "C=8 Ny=4 Nx=9");
    /// # Ok::<(), linops::Error>(())
    /// ```
    #[must_use]
    pub fn keep(&self) -> Linop {
        self.rebuilt(|n| Node { output: kept(&n.input, &n.output), ..n })
    }

    /// The same linop with other names for its output dims, in order: `"C Ky Kx"`. `...` stands for those that are not named and
    /// `()` for one, under the names that [`keep`](Linop::keep) gives them; so `out("...")` is `keep()`.
    ///
    /// ```
    /// let f = linops::linop::fft("C=8 Ny=4 Nx=6", "Ny Nx", Default::default())?;
    /// assert_eq!(f.out("C Ky Kx")?.output()?.to_string(), "C=8 Ky=4 Kx=6");
    /// assert_eq!(f.out("... Kx")?.output()?.to_string(), "C=8 Ny=4 Kx=6");
    /// assert_eq!(f.out(["...", "Ky", "()"])?.output()?.to_string(), "C=8 Ky=4 Nx=6");
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of names than dims, a repeated one, or an extent that is not the output's.
    pub fn out(&self, dims: impl ToDims) -> Result<Linop> {
        let node = self.node()?;
        let kept = kept(&node.input, &node.output);
        let named = dims.to_pattern().and_then(|p| p.name(&called(kept.dims(), kept.extents())));
        let output = named.map_err(|e| e.at(self.label()))?;
        Ok(self.rebuilt(|n| Node { output, ..n }))
    }
}

/// The output under the names of the input, where families say which are which.
fn kept(input: &Shape, output: &Shape) -> Shape {
    let family = |of: &Shape, without: &Shape, base: &str| -> Vec<Dim> {
        of.dims().iter().filter(|d| d.base() == base && without.axis(**d).is_none()).copied().collect()
    };
    let name = |d: &Dim| {
        if input.axis(*d).is_some() {
            return *d;
        }
        let (gone, came) = (family(input, output, d.base()), family(output, input, d.base()));
        match came.iter().position(|c| c == d) {
            Some(at) if gone.len() == came.len() => gone[at],
            _ => *d,
        }
    };
    // Names that are gone are not in the output, and each is taken once: they differ.
    output.renamed(&output.dims().iter().map(name).collect::<Vec<_>>()).unwrap_or_else(|_| output.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_say_which_dims_are_which() {
        for (input, output, want) in [
            ("Ny=4 Nx=6", "Ny1=4 Nx1=6", "Ny=4 Nx=6"),
            ("Ny=4 Nx=6", "C=2 Ny7=4 Nx=6", "C=2 Ny=4 Nx=6"),
            ("N=4 N1=6", "N2=4 N1=6", "N=4 N1=6"),
            ("N=4 N1=6", "N2=4 N3=6", "N=4 N1=6"),
            ("N=4 N1=6", "N1=6 N2=4", "N1=6 N=4"),
            ("N=4 N1=6", "N2=24", "N2=24"),
            ("N=4", "N2=4 N3=4", "N2=4 N3=4"),
            ("N=4", "N=4 N3=4", "N=4 N3=4"),
            ("Ny=4", "Ky=4", "Ky=4"),
            ("N=4", "", ""),
        ] {
            let [input, output, want] = [input, output, want].map(|s| s.parse::<Shape>().unwrap());
            assert_eq!(kept(&input, &output), want, "{input} -> {output}");
        }
    }
}
