//! The kernels of all methods, for those who judge kernels.

use super::stage::Draft;
use super::{Method, Problem, WaveletPenalty, admm, backtracking, fgp, fista, irls, pdhg};
use crate::error::Result;
use crate::linop;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Columned, Layout};

/// The kernels of all methods' passes on a GPU, for groups of one, two, three and six members: as name and WGSL.
///
/// # Errors
/// One cannot be written.
pub fn kernels() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for dtype in [DType::F32, DType::Complex32] {
        for layout in samples(dtype)? {
            all.extend(crate::vectors::kernels(&[layout], &[Columned::One])?);
        }
    }
    all.dedup();
    Ok(all)
}

/// Drafts of small problems of all kinds.
fn samples(dtype: DType) -> Result<Vec<Layout>> {
    let shape = "Ny=4 Nx=4";
    let y = Tensor::zeros(shape, dtype)?;
    let a = linop::identity(shape)?;
    let problem = || Problem::new(&a, &y);
    let wavelet = WaveletPenalty::default().levels(1);
    let geometry = linop::Geometry::parallel(&[0.1, 0.9], 12);
    let views = linop::projection("Ny=12 Nx=12", "Ny Nx", &geometry, "A D")?;
    let problems = [
        Problem::new(&views, &Tensor::zeros("A=2 D=12", dtype)?)?.tv(1.0, "Ny Nx")?,
        problem()?,
        problem()?.l1(1.0)?,
        problem()?.non_negative(),
        problem()?.l1_wavelet(1.0, "Ny Nx", &wavelet)?,
        problem()?.tv(1.0, "Ny Nx")?,
        problem()?.tv(1.0, "Nx")?.non_negative(),
        problem()?.tgv(1.0, "Ny Nx")?,
        problem()?.llr(1.0, "Ny", &[2])?,
        // More duals than a pass has room for.
        problem()?.l1_wavelet(1.0, "Ny Nx", &WaveletPenalty::default().levels(2).shifts(4))?.tv(1.0, "Ny Nx")?,
    ];
    let mut all = Vec::new();
    for problem in problems {
        let descent = [Method::Ista, Method::Fista, Method::Pogm];
        let split = [Method::Admm, Method::Pdhg, Method::Fgp, Method::Irls];
        for method in descent.into_iter().chain(split) {
            if problem.method(Some(method)).is_err() {
                continue;
            }
            let mut draft = Draft::default();
            let drafted = match method {
                Method::Admm => admm::draft(&mut draft, &problem),
                Method::Pdhg => pdhg::draft(&mut draft, &problem),
                Method::Fgp => fgp::draft(&mut draft, &problem),
                Method::Irls => irls::draft(&mut draft, &problem),
                method => fista::draft(&mut draft, &problem, method),
            };
            if drafted.is_ok() {
                all.push(draft.layout());
            }
            let mut draft = Draft::default();
            if method == Method::Fista && backtracking::draft(&mut draft, &problem, method).is_ok() {
                all.push(draft.layout());
            }
        }
    }
    Ok(all)
}
