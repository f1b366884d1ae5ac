//! Coil sensitivities before a transform of each coil: parallel imaging.

use super::{Linop, chain, dense, diagonal};
use crate::dim::{Dim, Shape, join};
use crate::error::{Error, Result, shape_err};
use crate::tensor::Tensor;

/// y_c = A (m_c·x): coil sensitivities `maps`, then A for every coil of the dim `coil`. A takes one coil's image to its data: a
/// Fourier transform with a mask or [`sampling`](super::sampling), a [`nufft`](super::nufft) with the points of a trajectory, with
/// a field map around it or not.
///
/// Further dims of `maps` that A's input lacks are sets of maps, with an image each: y_c = A Σ_s m_{s,c}·x_s, the soft SENSE of
/// ESPIRiT (Uecker et al., Magn. Reson. Med. 71:990, 2014). The input has the sets in front of A's input, the output the coils
/// in front of A's output. Pruessmann et al., Magn. Reson. Med. 42:952 (1999).
///
/// The adjoint is Σ_c m̄_c·Aᴴ y_c; in the normal that of A stands between the maps: of a full Fourier transform Σ_c |m_c|² is
/// left. It costs A for every coil; the maps go into its first pass, and the adjoint sums over the coils in one more.
/// [Splits](Linop::split) along the coils, and dims along which A does.
///
/// ```
/// use linops::linop::{self, FftOptions};
/// use linops::Tensor;
/// let maps = Tensor::from_array(ndarray::Array4::<f32>::ones((2, 8, 4, 6)), "S C Ny Nx")?;
/// let mask = Tensor::from_array(ndarray::Array2::<f32>::ones((4, 6)), "Ky Kx")?;
/// let f = linop::fft("Ny=4 Nx=6", "Ny Nx", FftOptions::default().centered(true))?.out("Ky Kx")?;
/// let a = linop::sense(&maps, &(linop::sampling(f.output()?, &mask, "K")? * f), "C")?;
/// assert_eq!(a.input()?.to_string(), "S=2 Ny=4 Nx=6");
/// assert_eq!(a.output()?.to_string(), "C=8 K=24");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `coil` is not a dim of the maps, or is one of A's; the maps have another extent than A's input along a dim.
#[doc(alias = "espirit")]
#[doc(alias = "parallel_imaging")]
pub fn sense(maps: &Tensor, a: &Linop, coil: &str) -> Result<Linop> {
    let (coil, image, m) = (coil.parse::<Dim>()?, a.input()?, maps.shape());
    let Some(coils) = m.size(coil) else {
        return shape_err!("sense: dim {coil} is not in the maps {m}; name the dim of their coils");
    };
    if image.axis(coil).is_some() {
        return shape_err!(
            "sense: dim {coil} is in the input {image} of {}, which takes the image of one coil",
            a.label()
        );
    }
    let sets: Vec<(Dim, usize)> = m.iter().filter(|(d, _)| *d != coil && image.axis(*d).is_none()).collect();
    let of_coils = Shape::new(vec![coil], vec![coils])?;
    let at = |e: Error| e.at("sense");
    let weighted = match &sets[..] {
        [] => diagonal(image, maps),
        _ => {
            let (dims, extents) = sets.iter().copied().chain(image.iter()).unzip();
            let out: Vec<Dim> = std::iter::once(coil).chain(image.dims().iter().copied()).collect();
            dense(Shape::new(dims, extents)?, maps, &join(&out))
        }
    };
    chain(vec![weighted.map_err(at)?.named("coil maps"), a.over(of_coils).map_err(at)?])
}
