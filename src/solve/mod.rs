//! Iterative solvers. Vectors and scalars stay on the device that holds the data.

mod cg;

pub use cg::{CgOptions, CgResult, Progress, Stop, cg};
