//! Lanes over several queues, one queue and several devices: order, memory, failures, ends.
//!
//! Machines without a GPU have a Vulkan driver of one queue; `table` makes several of it.
#![cfg(all(feature = "multi-queue", not(target_vendor = "apple")))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../threadable/sets.rs"]
mod sets;

mod barriers;
mod containers;
mod drops;
mod failures;
mod gpu;
mod graphs;
mod memory;
mod open;
mod parts;
mod rig;
mod submissions;
mod table;
mod tune;
mod validation;

/// Whether sweeps that take minutes run too: `LINOPS_FULL=1`.
fn full() -> bool {
    std::env::var("LINOPS_FULL").is_ok_and(|v| v == "1")
}
