//! Whole plans: valid WGSL for the poorest device, consistent tables, few kernels.

use std::collections::{HashMap, HashSet};

use super::super::smooth::prime_factors;
use super::*;

/// What a caller adds to the text of a pass, with plain arrays.
const PLAIN: &str = "
@group(0) @binding(0) var<uniform> fft: FftParams;
@group(0) @binding(1) var<storage, read> twiddle: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec2<f32>>;
fn load(lin: u32) -> vec2<f32> { return x[lin]; }
fn store(lin: u32, v: vec2<f32>) { y[lin] = v; }
fn term(lin: u32, v: vec2<f32>) -> vec2<f32> { return v * x[lin].y; }
fn middle(lin: u32, v: vec2<f32>) -> vec2<f32> { return v * x[lin].x; }
";

fn limits(shape: KernelShape) -> GpuLimits {
    GpuLimits::poorest(shape)
}

/// Lengths that cover every radix, stage count and pass count.
fn sweep() -> Vec<usize> {
    let small = (1..=130).filter(|n| is_smooth(*n));
    small.chain([1000, 1024, 1001, 1100, 2048, 2310, 4096, 6561, 8192, 15625, 30030, 131_072, 1 << 20]).collect()
}

/// Every kernel of the sweep, by key.
fn kernels() -> HashMap<String, FftPass> {
    let mut all = HashMap::new();
    for shape in [KernelShape::Gpu, KernelShape::Cpu] {
        let paired = [2048, 4096].map(|n| (n, true));
        let primes = [37, 127, 257, 1021, 2003].map(|n| (n, false)).into_iter().filter(|_| shape == KernelShape::Gpu);
        for (n, paired) in sweep().into_iter().map(|n| (n, false)).chain(paired).chain(primes) {
            for inner in [1, 3, 8, 200] {
                let passes = plan(n, inner, paired, &limits(shape));
                let filters: Vec<FftPass> = passes.iter().filter_map(|p| p.filter(inner, &limits(shape))).collect();
                let once: Vec<FftPass> = passes.into_iter().chain(filters).collect();
                let folding: Vec<FftPass> = once.iter().filter_map(FftPass::folding).collect();
                all.extend(once.into_iter().chain(folding).map(|pass| (pass.key(), pass)));
            }
        }
    }
    all
}

#[test]
fn kernels_are_valid_without_any_capability() {
    for (key, pass) in kernels() {
        let source = pass.source().unwrap() + PLAIN;
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{key}: {}\n{source}", e.emit_to_string(&source)));
        let flags = naga::valid::ValidationFlags::all();
        naga::valid::Validator::new(flags, naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{key}: {e:?}\n{source}"));
    }
}

#[test]
fn passes_chain_to_the_length() {
    for shape in [KernelShape::Gpu, KernelShape::Cpu] {
        for n in sweep() {
            let passes = plan(n, 3, false, &limits(shape));
            assert_eq!(passes.iter().map(|pass| pass.step().radix).product::<usize>(), n);
            assert_eq!(passes.len() == 1, passes.iter().all(FftPass::in_place));
            assert!(passes.iter().all(|pass| !pass.twiddles().is_empty()));
        }
        for rough in [0, 37 * 2, 2039] {
            assert!(plan(rough, 1, false, &limits(shape)).is_empty());
        }
        let primes = |limits| [37, 1021, 4093].map(|p| plan(p, 1, false, &limits).len());
        assert_eq!(primes(limits(shape)), if shape == KernelShape::Gpu { [1, 1, 1] } else { [0; 3] });
        assert_eq!(primes(GpuLimits { workgroup_memory: 8 << 10, ..limits(shape) })[2], 0);
    }
}

#[test]
fn equal_keys_have_equal_text() {
    let mut texts = HashMap::new();
    for shape in [KernelShape::Gpu, KernelShape::Cpu] {
        for n in sweep() {
            for inner in [1, 2, 8, 9, 64] {
                for pass in plan(n, inner, false, &limits(shape)) {
                    let text = pass.source().unwrap();
                    assert_eq!(*texts.entry(pass.key()).or_insert(text.clone()), text, "{}", pass.key());
                }
            }
        }
    }
}

#[test]
fn few_kernels_serve_all_lengths() {
    let keys = |shape, inner: &[usize], lengths: &[usize]| {
        let passes = lengths.iter().flat_map(|n| inner.iter().flat_map(|i| plan(*n, *i, false, &limits(shape))));
        passes.map(|pass| pass.key()).collect::<HashSet<_>>().len()
    };
    let all: Vec<usize> = (1..=2048).filter(|n| is_smooth(*n)).collect();
    let smooth: Vec<usize> = all.iter().copied().filter(|n| prime_factors(*n).iter().all(|p| *p <= 13)).collect();
    // Two roles of each of the 49 lengths up to 64 without a prime above 13, and the whole ones; of all 57.
    assert!(keys(KernelShape::Cpu, &[1, 8, 200], &smooth) <= 3 * 49);
    assert!(keys(KernelShape::Cpu, &[1, 8, 200], &all) <= 3 * 57);
    // One per length where the packing is the same.
    for lengths in [smooth, all] {
        assert!(keys(KernelShape::Gpu, &[1], &lengths) <= lengths.len());
        assert!(keys(KernelShape::Gpu, &[8, 64, 256], &lengths) <= 3 * lengths.len());
    }
}

#[test]
fn params_are_padded_and_in_order() {
    let call = FftCall { inverse: true, shift: 4, scale: 0.5, batch0: 7 };
    for pass in plan(8, 5, false, &limits(KernelShape::Cpu)) {
        let words = pass.params(Lines { outer: 3, inner: 5, folded: None }, true, true, &call).unwrap();
        assert_eq!(words, [3, 7, 5, 5, 40, 1, 1, 1, 20, 20, 1, 1, 0.5_f32.to_bits(), 1, 1, 0]);
        // Of (2 in front, 3 terms, 5 behind) 10 sums are left.
        let folded = Some(Folded { terms: 3, behind: 5 });
        let fold = pass.folding().unwrap();
        let words = fold.params(Lines { outer: 30, inner: 5, folded }, true, true, &call).unwrap();
        assert_eq!((words[0], &words[13..15]), (10, &[3, 5][..]));
    }
}
