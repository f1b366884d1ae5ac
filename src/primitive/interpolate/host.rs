//! Interpolations and spreads as kernels of the host.

use super::{InterpolateKernel, from_grid, to_grid};
use crate::loops::{Elem, Real, Slice, Taken};
use crate::plan::{HostLoops, Kernel, Place};

impl HostLoops for InterpolateKernel {
    type Tables<T: Real> = ();

    fn tables<T: Real>(&self) {
        // The lists that the loops walk, made before they are first run.
        self.points.tiles();
        if !self.spreads {
            self.points.places();
        }
    }

    fn run<T: Real, E: Elem<T>>(&self, (): &(), sources: &[Option<Slice<T>>], work: &mut [T], to: Place<E>) {
        let dst = to.stretch(self.output_len());
        match self.spreads {
            true => to_grid::run(self, sources[0], work, dst),
            false => from_grid::run(self, sources[0], work, dst),
        }
    }

    fn taken(&self, element: usize, _: bool, threads: usize) -> Taken {
        match self.spreads {
            true => to_grid::taken(self, element, threads),
            false => from_grid::taken(self, element),
        }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}
