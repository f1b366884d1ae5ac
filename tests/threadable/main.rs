//! Independent sub-linops: the same bits for any schedule, bounded memory, named failures.

#[path = "../common/mod.rs"]
mod common;

mod api;
mod bits;
mod edges;
mod failures;
#[cfg(feature = "gpu")]
mod lanes;
mod memory;
mod random;
#[cfg(feature = "gpu")]
mod rungs;
mod sets;
