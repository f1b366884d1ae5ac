//! Kernels: what a step of a plan computes.
//!
//! A kernel says of itself what every pass and executor asks: what it reads, what it gives, what it costs, what may go into
//! its reads and its store. There are no defaults: a kernel that leaves something out does not compile.

use super::Target;
use crate::access::{Constant, Load, Post, Store};
use crate::loops::{Elem, Real, Slice, SliceMut, Taken};
use crate::{
    error::Result,
    shader::{Draft, GpuLimits, Stepper},
};
use std::any::Any;
use std::fmt;

/// What a step computes, apart from the way it does so on a device.
pub(crate) trait Kernel: AsAny + fmt::Debug + Send + Sync {
    /// A short name for listings.
    fn name(&self) -> &'static str;
    /// What stands behind the reads in listings, with a space in front.
    fn details(&self) -> String;
    /// The reads.
    fn loads(&self) -> &[Load];
    /// The reads, to be replaced.
    fn loads_mut(&mut self) -> &mut [Load];
    /// Number of elements of the result.
    fn output_len(&self) -> usize;
    /// What its reads and its store don't show.
    fn work(&self) -> Work;
    /// Shared data that it uses beside the weights on its reads and its result.
    fn held(&self) -> Vec<Held<'_>>;
    /// Whether it may read through this in place of one of its reads.
    fn takes(&self, load: &Load, target: &Target) -> bool;
    /// Takes weights and a scalar on its result, which are those of a read of it in order, into its store or its reads; false
    /// where it does not. A result that is not complex stays real.
    fn absorb(&mut self, after: &Load, complex: bool, target: &Target) -> bool;
    /// Is told which box of its result, of these extents, is read, as first and end along each axis. Gives the box that it
    /// stores from now on, if that is less than all.
    fn crop(&mut self, extents: &[usize], read: &[(usize, usize)]) -> Option<Vec<(usize, usize)>>;
    /// Extents of a value that it alone writes and reads, if it needs one; its result is complex or not.
    fn scratch(&self, complex: bool, target: &Target) -> Option<Scratch>;
    /// What is multiplied to the result as it is stored.
    fn post(&self) -> Option<&Post>;
    /// Whether the result may overwrite the value that read `which` is of: every element is read only to make itself (or by the
    /// workgroup or task that has read its lines whole).
    fn may_overwrite(&self, which: usize, target: &Target) -> bool;
}

/// What can be asked for its own type.
pub(crate) trait AsAny: Any {
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What a kernel does beside reading through its loads and storing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Real additions and multiplications.
    pub flops: u64,
    /// Bytes of lists, tables and weights that are no factors of its loads or its store.
    pub read: u64,
}

/// Shared data of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'k> {
    /// Weights that are no factors of its reads or its result.
    Weight(&'k Constant),
    /// Anything else, by what tells it from other data, with the bytes of it that the kernel needs.
    Data { address: usize, bytes: u64 },
}

/// A value that a kernel needs for itself.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    pub extents: Vec<usize>,
    pub complex: bool,
}

/// A kernel with host loops.
pub(crate) trait HostKernel: Kernel {
    /// The kernel with its tables, in f32.
    fn bind32(&self) -> Box<dyn Bound<f32>>;
    /// The same in f64.
    fn bind64(&self) -> Box<dyn Bound<f64>>;
    /// What running it takes of memory beside its values. `element`: bytes of a result; `same`: whether what it reads first has
    /// as many; so many threads run it.
    fn taken(&self, element: usize, same: bool, threads: usize) -> Taken;
    /// Bytes of the tables that binding makes, at most.
    fn table_bytes(&self) -> u64;
}

/// A kernel that is ready to run in one precision.
pub(crate) trait Bound<T>: Send + Sync {
    /// # Errors
    /// Those of functions that are not the crate's own.
    fn run(&self, call: Call<T>) -> Result<()>;
}

/// One run of a kernel.
pub(crate) struct Call<'a, T> {
    /// What each load reads; None is what the destination holds.
    pub sources: &'a [Option<Slice<'a, T>>],
    /// The scratch value.
    pub work: &'a mut [T],
    /// Where results go in `dst`.
    pub store: Store,
    pub dst: SliceMut<'a, T>,
}

/// The host loops of a kernel, for results of type `E`.
pub(crate) trait HostLoops: Kernel + Clone {
    /// What is made once for each plan that runs.
    type Tables<T: Real>: Send + Sync;

    fn tables<T: Real>(&self) -> Self::Tables<T>;
    fn run<T: Real, E: Elem<T>>(
        &self,
        tables: &Self::Tables<T>,
        sources: &[Option<Slice<T>>],
        work: &mut [T],
        to: Place<E>,
    );
    /// See [`HostKernel::taken`].
    fn taken(&self, element: usize, same: bool, threads: usize) -> Taken;
    /// See [`HostKernel::table_bytes`].
    fn table_bytes(&self) -> u64;
}

/// Where results go.
pub(crate) struct Place<'a, E> {
    store: Store,
    dst: &'a mut [E],
}

impl<'a, E> Place<'a, E> {
    /// The stretch that holds `len` results; kernels whose results may go to strided rows ask for [`rows`](Place::rows).
    pub fn stretch(self, len: usize) -> &'a mut [E] {
        &mut self.dst[self.store.start..self.store.start + len]
    }

    /// The whole destination and the store, where `len` results go to rows apart from each other.
    pub fn rows(self, len: usize) -> Result<(&'a mut [E], Store), Place<'a, E>> {
        if self.store.is_contiguous(len) { Err(self) } else { Ok((self.dst, self.store)) }
    }
}

struct Tabled<K, X> {
    kernel: K,
    tables: X,
}

impl<T: Real, K: HostLoops> Bound<T> for Tabled<K, K::Tables<T>> {
    fn run(&self, call: Call<T>) -> Result<()> {
        let Call { sources, work, store, dst } = call;
        match dst {
            SliceMut::Real(dst) => self.kernel.run(&self.tables, sources, work, Place { store, dst }),
            SliceMut::Complex(dst) => self.kernel.run(&self.tables, sources, work, Place { store, dst }),
        }
        Ok(())
    }
}

impl<K: HostLoops> HostKernel for K {
    fn bind32(&self) -> Box<dyn Bound<f32>> {
        Box::new(Tabled { kernel: self.clone(), tables: self.tables::<f32>() })
    }

    fn bind64(&self) -> Box<dyn Bound<f64>> {
        Box::new(Tabled { kernel: self.clone(), tables: self.tables::<f64>() })
    }

    fn taken(&self, element: usize, same: bool, threads: usize) -> Taken {
        HostLoops::taken(self, element, same, threads)
    }

    fn table_bytes(&self) -> u64 {
        HostLoops::table_bytes(self)
    }
}

/// A kernel with WGSL.
pub(crate) trait GpuKernel: Kernel {
    /// The dispatches of a step, in order.
    ///
    /// # Errors
    /// [`TooBig`](crate::Error::TooBig) for what the device's bindings cannot hold.
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>>;
}

/// A kernel that is the same everywhere.
pub(crate) trait AnyDevice: HostKernel + GpuKernel {}
impl<K: HostKernel + GpuKernel> AnyDevice for K {}

/// The side that a plan is for. Only there can a kernel for one side alone be made, so that no plan has a kernel that its device
/// does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Host(HostSide),
    Gpu(GpuSide),
}

/// A plan for the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostSide(());

/// A plan for a GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GpuSide {
    pub limits: GpuLimits,
    _made: (),
}

impl Target {
    /// Its side.
    pub(crate) fn side(&self) -> Side {
        match self {
            Target::Host => Side::Host(HostSide(())),
            Target::Gpu(limits) => Side::Gpu(GpuSide { limits: *limits, _made: () }),
        }
    }
}

impl HostSide {
    pub fn kernel(self, kernel: impl HostKernel + 'static) -> StepKernel {
        StepKernel(Kind::Host(Box::new(kernel)))
    }
}

impl GpuSide {
    pub fn kernel(self, kernel: impl GpuKernel + 'static) -> StepKernel {
        StepKernel(Kind::Gpu(Box::new(kernel)))
    }

    /// A kernel of a user's own: its results go to a whole value, of the dtype that it was made for.
    pub fn own(self, kernel: impl GpuKernel + 'static) -> StepKernel {
        StepKernel(Kind::Own(Box::new(kernel)))
    }

    /// A kernel that the host runs: the value that it reads goes there, the result back.
    pub fn through_host(self, kernel: impl HostKernel + 'static) -> StepKernel {
        StepKernel(Kind::Through(Box::new(kernel)))
    }
}

/// The kernel of a step, for the side that its plan is for.
#[derive(Debug)]
pub(crate) struct StepKernel(Kind);

#[derive(Debug)]
enum Kind {
    Host(Box<dyn HostKernel>),
    Gpu(Box<dyn GpuKernel>),
    /// Of a user's own.
    Own(Box<dyn GpuKernel>),
    /// In a plan for a GPU, on the host.
    Through(Box<dyn HostKernel>),
}

impl StepKernel {
    /// A kernel that is the same on both sides.
    pub fn on(kernel: impl AnyDevice + 'static, target: &Target) -> StepKernel {
        match target.side() {
            Side::Host(host) => host.kernel(kernel),
            Side::Gpu(gpu) => gpu.kernel(kernel),
        }
    }

    /// As the host runs it, in a plan for the host.
    pub fn for_host(&self) -> Option<&dyn HostKernel> {
        match &self.0 {
            Kind::Host(k) => Some(&**k),
            Kind::Gpu(_) | Kind::Own(_) | Kind::Through(_) => None,
        }
    }

    /// As the host runs it, in a plan for a GPU.
    pub fn through_host(&self) -> Option<&dyn HostKernel> {
        match &self.0 {
            Kind::Through(k) => Some(&**k),
            Kind::Host(_) | Kind::Gpu(_) | Kind::Own(_) => None,
        }
    }

    /// Whether its results may go to a part of a value, and real ones to a complex value.
    pub fn stores_anywhere(&self) -> bool {
        !matches!(self.0, Kind::Own(_))
    }

    /// As a GPU runs it, in a plan for one.
    pub fn for_gpu(&self) -> Option<&dyn GpuKernel> {
        match &self.0 {
            Kind::Gpu(k) | Kind::Own(k) => Some(&**k),
            Kind::Host(_) | Kind::Through(_) => None,
        }
    }
}

impl std::ops::Deref for StepKernel {
    type Target = dyn Kernel;

    fn deref(&self) -> &(dyn Kernel + 'static) {
        match &self.0 {
            Kind::Host(k) => &**k,
            Kind::Gpu(k) | Kind::Own(k) => &**k,
            Kind::Through(k) => &**k,
        }
    }
}

impl std::ops::DerefMut for StepKernel {
    fn deref_mut(&mut self) -> &mut (dyn Kernel + 'static) {
        match &mut self.0 {
            Kind::Host(k) => &mut **k,
            Kind::Gpu(k) | Kind::Own(k) => &mut **k,
            Kind::Through(k) => &mut **k,
        }
    }
}

impl dyn Kernel {
    /// The kernel, if it is of this type.
    pub fn of_type<K: Kernel>(&self) -> Option<&K> {
        self.as_any().downcast_ref()
    }
}
