//! What an iteration of each method is made of.

use super::*;
use crate::vectors::{Scalar, Space, Vector};

/// Counts what is asked of it.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passes: usize,
    copies: usize,
    applies: usize,
    submits: usize,
    readings: usize,
}

impl Space for Counts {
    fn set(&mut self, _: Vector, _: &Tensor) -> Result<()> {
        self.readings += 1;
        Ok(())
    }

    fn get(&mut self, _: Vector) -> Result<Tensor> {
        self.readings += 1;
        Tensor::zeros("N=1", DType::F32)
    }

    fn copy(&mut self, _: Vector, _: Vector) -> Result<()> {
        self.copies += 1;
        Ok(())
    }

    fn set_scalar(&mut self, _: Scalar, _: f32) -> Result<()> {
        self.readings += 1;
        Ok(())
    }

    fn scalars(&mut self) -> Result<Vec<f64>> {
        self.readings += 1;
        Ok(Vec::new())
    }

    fn apply(&mut self, _: usize, _: Vector, _: Vector) -> Result<()> {
        self.applies += 1;
        Ok(())
    }

    fn pass(&mut self, _: usize) -> Result<()> {
        self.passes += 1;
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        self.submits += 1;
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.submits += 1;
        Ok(())
    }
}

/// Of one iteration between readings: one submission, nothing read, no vector made.
#[test]
fn an_iteration_is_a_few_passes() {
    let shape = "Ny=8 Nx=8";
    let y = Tensor::zeros(shape, DType::F32).unwrap();
    let problem = || Problem::new(&crate::linop::identity(shape).unwrap(), &y).unwrap();
    let wavelet = WaveletPenalty::default().levels(1);
    let l1 = problem().l1(1.0).unwrap();
    let waves = problem().l1_wavelet(1.0, "Ny Nx", &wavelet).unwrap();
    let tv = problem().tv(1.0, "Ny Nx").unwrap();
    let counted = |iterate: &dyn Fn(&mut dyn Space) -> Result<()>| {
        let mut counts = Counts::default();
        iterate(&mut counts).unwrap();
        assert_eq!((counts.submits, counts.readings), (1, 0), "{counts:?}");
        (counts.passes, counts.applies, counts.copies)
    };
    // Passes over vectors beside operators, operators, copies.
    for method in [Method::Ista, Method::Fista, Method::Pogm] {
        assert_eq!(counted(&|space| fista::iterated(&l1, method, space)), (2, 1, 0), "{method}");
        assert_eq!(counted(&|space| fista::iterated(&waves, method, space)), (3, 3, 0), "{method}");
    }
    assert_eq!(counted(&|space| pdhg::iterated(&tv, space)), (2, 3, 0));
    assert_eq!(counted(&|space| fgp::iterated(&tv, space)), (2, 2, 0));
    // A pass for the image, and one for the dual of each term.
    let two = problem().tv(1.0, "Ny Nx").unwrap().l1_wavelet(1.0, "Ny Nx", &wavelet).unwrap();
    assert_eq!(counted(&|space| pdhg::iterated(&two, space)), (3, 5, 0));
    assert_eq!(counted(&|space| fgp::iterated(&two, space)), (3, 4, 0));
    // Three passes a step of conjugate gradients, but for the last, whose direction nobody needs.
    for inner in [1, 6] {
        assert_eq!(counted(&|space| admm::iterated(&tv, inner, space)), (3 + 3 * inner - 1, 3 + 2 * inner, 0));
    }
    // Three passes a step of conjugate gradients, and one for the weights of each term.
    assert_eq!(counted(&|space| irls::iterated(&tv, space)), (4, 3, 0));
    assert_eq!(counted(&|space| irls::iterated(&two, space)), (6, 5, 0));
    assert_eq!(counted(&|space| irls::iterated(&l1, space)), (4, 1, 1));
    // Of projections each step is preconditioned: two transforms between two passes more.
    let geometry = crate::linop::Geometry::parallel(&[0.1, 0.9, 1.7], 12);
    let views = crate::linop::projection("Ny=12 Nx=12", "Ny Nx", &geometry, "A D").unwrap();
    let y = Tensor::from_slice("A=3 D=12", &[1.0f32; 36]).unwrap();
    let tv = Problem::new(&views, &y).unwrap().tv(1.0, "Ny Nx").unwrap();
    for inner in [1, 3] {
        assert_eq!(counted(&|space| admm::iterated(&tv, inner, space)), (2 + 5 * inner, 3 + 4 * inner, 0));
    }
}
