//! The kernels that plans need, as text.

use super::data::{complex, real};
use linops::internal::{Draft, GpuLimits, KernelShape, Target};
use linops::linop::{self, Align};
use linops::{Linop, Result};

/// The poorest GPU of this kind.
pub fn poorest(shape: KernelShape) -> Target {
    Target::Gpu(GpuLimits::poorest(shape))
}

/// One whose bindings are so small that small tensors take several.
pub fn small_bindings(shape: KernelShape) -> Target {
    Target::Gpu(GpuLimits { max_binding: 4096, ..GpuLimits::poorest(shape) })
}

/// All dispatches of a linop.
pub fn dispatches(a: &Linop, target: &Target, complex: bool) -> Result<Vec<Draft>> {
    let plan = a.program()?.schedule(target, complex)?;
    plan.steps.iter().try_fold(Vec::new(), |mut all, step| {
        all.extend(step.drafts(&plan)?);
        Ok(all)
    })
}

/// Linops of many elements, and whether they are moved with accesses of 16 bytes in complex and in real kernels: in order, with weights,
/// repeated, cut and filled up by whole units, added up along either axis; not backwards, nor by odd numbers.
pub fn many() -> Vec<(&'static str, Linop, [bool; 2])> {
    let image = "Y=1024 X=1024";
    let maps = complex("C=3 Y=1024 X=1024", 1);
    let cut = |from: usize, to: usize| linop::slice("Y=1024 X=1040", &[("X", from..to)]).unwrap();
    let fill = |n: usize| linop::pad(image, format!("Y=1024 X={n}").as_str(), Align::Center).unwrap();
    let sum = |dims: &str, over: &str| linop::sum(dims, over).unwrap();
    vec![
        ("scale", linop::scalar(image, 2.0).unwrap(), [true, true]),
        ("real weights", linop::diagonal(image, &real(image, 2)).unwrap(), [true, true]),
        ("repeated and weighted", linop::diagonal(image, &maps).unwrap(), [true, false]),
        ("weighted and added", linop::diagonal(image, &maps).unwrap().h(), [true, false]),
        ("weights of rows", linop::diagonal(image, &real("Y=1024", 3)).unwrap(), [true, true]),
        ("weights of columns", linop::diagonal(image, &real("X=1024", 3)).unwrap(), [true, true]),
        ("cut by 4", cut(4, 1028), [true, true]),
        ("cut by 2", cut(2, 1026), [true, false]),
        ("cut by 1", cut(1, 1025), [false, false]),
        ("filled up by 4", fill(1032), [true, true]),
        ("filled up by 2", fill(1028), [true, false]),
        ("filled up by 1", fill(1026), [false, false]),
        ("backwards", linop::flip(image, "X").unwrap(), [false, false]),
        ("rows backwards", linop::flip(image, "Y").unwrap(), [true, true]),
        ("sum of images", sum("C=5 Y=300 X=256", "C"), [true, true]),
        ("sum of odd images", sum("C=5 Y=301 X=255", "C"), [false, false]),
        ("sum of neighbours", sum("Y=300 X=256 C=8", "C"), [true, true]),
        ("sum of 6 neighbours", sum("Y=300 X=256 C=6", "C"), [true, false]),
        ("sum of 5 neighbours", sum("Y=300 X=256 C=5", "C"), [false, false]),
        ("long sums", sum("C=3 N=5000", "N"), [true, true]),
        ("long odd sums", sum("C=3 N=5001", "N"), [false, false]),
        ("very long sums", sum("N=100004", "N"), [true, true]),
    ]
}
