//! What programs simplify to, and what their plans hold: no device is needed.

#![cfg(feature = "gpu")]

mod common;

use common::catalogue::cases;
use common::data::{complex, indices, mask, real};
use common::kernels::{poorest, small_bindings};
use linops::internal::{KernelShape, Node, Plan, Program, Step, Target};
use linops::linop::{self, Align, FftOptions};
use linops::{Device, Linop, apply_f64};

/// The host, the poorest GPUs, and ones whose bindings are so small that small tensors take several.
fn targets() -> Vec<Target> {
    let shapes = [KernelShape::Gpu, KernelShape::Cpu];
    std::iter::once(Target::Host).chain(shapes.map(poorest)).chain(shapes.map(small_bindings)).collect()
}

fn program(a: &Linop) -> std::sync::Arc<Program> {
    a.program().unwrap()
}

/// A node's name.
fn name(n: &Node) -> String {
    let text = n.describe();
    text.split([' ', '*']).next().unwrap_or_default().to_string()
}

/// The nodes' names, those inside of containers too.
fn ops(p: &Program) -> Vec<String> {
    let mut all = Vec::new();
    for n in p.nodes() {
        all.push(name(n));
        n.children().iter().for_each(|c| all.extend(ops(c)));
    }
    all
}

fn count(p: &Program, name: &str) -> usize {
    ops(p).into_iter().filter(|o| *o == name).count()
}

fn ortho(dims: &str, axes: &str) -> Linop {
    linop::fft(dims, axes, FftOptions::default()).unwrap()
}

fn diagonal(dims: &str, weight: &str, seed: u64) -> Linop {
    linop::diagonal(dims, &complex(weight, seed)).unwrap()
}

#[test]
fn what_cancels_is_not_computed() {
    let f = ortho("Y=6 X=5", "Y X");
    let pad = linop::pad("N=5", "N=9", Align::Center).unwrap();
    let roll = linop::roll("N=5", &[("N", 2)]).unwrap();
    let permute = linop::rearrange("A=3 B=5", "A B -> B A", "").unwrap();
    let stack = linop::stack(vec![roll.clone(); 3], Some(("S", 0)), Some(("S", 0))).unwrap();
    for a in [
        f.n(),
        f.h() * &f,
        &f * f.h(),
        pad.n(),
        roll.n(),
        permute.n(),
        linop::flip("A=3 B=5", "B").unwrap().n(),
        linop::crop("N1=9", "N1=5", Align::Center).unwrap().out("N").unwrap() * &pad,
        2.0 * linop::scalar("N=5", 0.5).unwrap(),
        linop::identity("N=5").unwrap().n(),
        roll.h().h() * roll.h(),
    ] {
        assert!(program(&a).nodes().is_empty(), "{a}\n{}", program(&a));
    }
    // Inside of a container too: all that is left is to take apart and join.
    assert!(program(&stack.n()).nodes().iter().all(|n| ["parallel", "reshape"].contains(&&*name(n))));
    assert_eq!(count(&program(&stack.n()), "map"), 0);
}

#[test]
fn an_adjoint_of_an_adjoint_is_the_linop() {
    for case in cases() {
        let a = &case.linop;
        assert_eq!(a.h().h().to_string(), a.to_string(), "{}", case.name);
        assert_eq!(program(&a.h().h()).to_string(), program(a).to_string(), "{}", case.name);
    }
}

#[test]
fn weights_and_scalars_fold() {
    let d = |seed| diagonal("A=5 B=3", "A=5 B=3", seed);
    assert_eq!(ops(&program(&(d(1) * d(2) * d(3).h()))), ["mul"]);
    assert_eq!(ops(&program(&d(1).n())), ["mul"]);
    assert_eq!(ops(&program(&(d(1) * diagonal("A=5 B=3", "B=3", 4)))), ["mul"]);
    // The product of two small weights is larger than both.
    let outer = diagonal("A=50 B=30", "A=50", 5) * diagonal("A=50 B=30", "B=30", 6);
    assert_eq!(ops(&program(&outer)), ["mul", "mul"]);
    let roll = linop::roll("A=5 B=3", &[("A", 2)]).unwrap();
    let scaled = 2.0 * (&roll * linop::scalar("A=5 B=3", 3.0).unwrap()) * linop::sum("A=5 B=3 C=2", "C").unwrap();
    assert_eq!(count(&program(&scaled), "scale"), 1);
    assert_eq!(count(&program(&(0.0 * &roll)), "zero"), 1);
    assert_eq!(ops(&program(&(d(1) * linop::zero("N=2", "A=5 B=3").unwrap()))), ["zero"]);
}

#[test]
fn the_normal_of_a_sampling_is_a_diagonal() {
    let masked = linop::sampling("C=2 A=5 B=7", &mask("A=5 B=7", 0.4, 1), "C S").unwrap();
    let repeated = linop::sampling_at("A=5 C=2", &[("A", indices(&[9], 5, 2))], "C S").unwrap();
    for a in [masked, repeated] {
        let p = program(&a.n());
        assert_eq!((count(&p, "gather"), count(&p, "scatter"), count(&p, "mul")), (0, 0, 1), "{p}");
    }
}

#[test]
fn transforms_cancel_around_what_does_not_depend_on_them() {
    let axes_left = |weight: &str| {
        let d = linop::diagonal("C=2 Y1=6 X1=5", &real(weight, 1)).unwrap();
        let p = program(&(d * ortho("C=2 Y=6 X=5", "Y X")).n());
        p.nodes().iter().map(Node::describe).filter(|n| n.starts_with("fft")).collect::<Vec<_>>()
    };
    assert_eq!(axes_left("Y1=6 X1=5"), ["fft [1, 2]", "fft inverse [1, 2]"]);
    assert_eq!(axes_left("Y1=6"), ["fft [1]", "fft inverse [1]"]);
    assert_eq!(axes_left("X1=5 C=2"), ["fft [2]", "fft inverse [2]"]);
    assert!(axes_left("C=2").is_empty());
}

/// Sums over linops inside of a program: children of containers whose results are added.
fn largest_container(p: &Program) -> usize {
    let inside = |n: &Node| n.children().iter().map(largest_container).max().unwrap_or(0).max(n.children().len());
    p.nodes().iter().map(inside).max().unwrap_or(0)
}

#[test]
fn a_normal_never_has_n_squared_terms() {
    let n = 7;
    let parts = || (0..n).map(|k| diagonal("A=5", "A=5", k) * ortho("A=5", "A").out("A").unwrap()).collect::<Vec<_>>();
    let s = Some(("S", 0));
    for (what, a, containers) in [
        ("add", linop::add(parts()).unwrap(), 2),
        ("stack, out", linop::stack(parts(), None, s).unwrap(), 1),
        ("stack, in", linop::stack(parts(), s, None).unwrap(), 2),
        ("stack, both", linop::stack(parts(), s, s).unwrap(), 1),
        ("concat, out", linop::concat(parts(), None, Some("A")).unwrap(), 1),
        ("concat, in", linop::concat(parts(), Some("A"), None).unwrap(), 2),
    ] {
        let p = program(&a.n());
        assert_eq!(count(&p, "parallel"), containers, "{what}\n{p}");
        assert_eq!(largest_container(&p), n as usize, "{what}\n{p}");
        assert!(count(&p, "fft") <= 2 * n as usize, "{what}\n{p}");
    }
}

#[test]
fn simplified_programs_compute_the_same() {
    for case in cases() {
        let a = &case.linop;
        let (p, n) = (program(a), program(&a.n()));
        // What `n` simplifies is forward, then adjoint.
        let whole = p.then(&p.transpose().unwrap()).unwrap();
        assert_eq!(whole.input_extents(), n.input_extents());
        let x = common::data::wide(&complex(a.input().unwrap(), 1));
        let (got, want) = (apply_f64(&a.n(), &x).unwrap(), apply_f64(&a.h(), &apply_f64(a, &x).unwrap()).unwrap());
        let scale = common::data::norm(&want).max(1.0);
        assert!(common::data::norm(&(got - want)) / scale < 1e-6, "{}", case.name);
        assert_eq!(n.simplify().unwrap(), *n, "simplifying twice changes {}", case.name);
    }
}

/// Steps from the first write of a value to its last read, and whether it lives in the plan's own memory.
fn lifetimes(plan: &Plan) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; plan.values.len()];
    for (i, step) in plan.steps.iter().enumerate() {
        for v in step.loads().iter().map(|l| l.value).chain([step.store.value]).chain(step.scratch) {
            let life = lives[v.at()].get_or_insert((i, i));
            life.1 = i;
        }
    }
    lives
}

/// Whether step `i` may write `w` over `v`, which it reads for the last time.
fn overwrites(plan: &Plan, step: &Step, v: usize) -> bool {
    let readers: Vec<usize> =
        step.loads().iter().enumerate().filter(|(_, l)| l.value.at() == v).map(|(k, _)| k).collect();
    matches!(readers[..], [one] if step.may_overwrite(one, &plan.target))
}

fn check_memory(what: &str, plan: &Plan) {
    let lives = lifetimes(plan);
    let slot = |v: usize| plan.memory.slot_of[v];
    for v in 0..plan.values.len() {
        let Some((first, last)) = lives[v] else {
            assert_eq!(slot(v), None, "{what}: v{v} is never stored, but has a buffer\n{plan}");
            continue;
        };
        if v == 0 || v == plan.output.at() {
            assert_eq!(slot(v), None, "{what}: v{v}\n{plan}");
            continue;
        }
        let own = slot(v).unwrap_or_else(|| panic!("{what}: v{v} has no buffer\n{plan}"));
        assert!(plan.values[v].bytes() <= plan.memory.slots[own], "{what}: v{v} is too large\n{plan}");
        for (w, other) in lives.iter().enumerate().skip(v + 1) {
            let Some((other_first, other_last)) = other.filter(|_| slot(w) == Some(own)) else { continue };
            let (ends, begins, dying) =
                if first < other_first { (last, other_first, v) } else { (other_last, first, w) };
            let replaced = ends == begins && overwrites(plan, &plan.steps[begins], dying);
            assert!(ends < begins || replaced, "{what}: v{v} and v{w} share buffer {own}\n{plan}");
        }
    }
}

#[test]
fn values_that_live_at_once_never_share_a_buffer() {
    for case in cases() {
        for (direction, a) in [("forward", case.linop.clone()), ("adjoint", case.linop.h()), ("normal", case.linop.n())]
        {
            for target in targets() {
                for complex in [false, true] {
                    let plan = program(&a).schedule(&target, complex).unwrap();
                    check_memory(&format!("{}, {direction}", case.name), &plan);
                    assert_ne!(plan.output.at(), 0);
                }
            }
        }
    }
}

fn sense(coils: usize) -> Linop {
    let maps = diagonal("Y=32 X=32", &format!("C={coils} Y=32 X=32"), 1);
    let f = linop::fft(maps.output().unwrap(), "Y X", FftOptions::default().centered(true)).unwrap();
    let f = f.out("C Y X").unwrap();
    linop::diagonal(f.output().unwrap(), &mask("Y=32 X=32", 0.4, 2)).unwrap() * f * maps
}

#[test]
fn a_sense_normal_has_no_kernel_of_its_own_for_weights() {
    for target in [poorest(KernelShape::Gpu), poorest(KernelShape::Cpu), Target::Host] {
        let plan = program(&sense(8).n()).schedule(&target, true).unwrap();
        let pointwise = plan.steps.iter().filter(|s| ["map", "add"].contains(&s.name())).count();
        assert_eq!(pointwise, 0, "{plan}");
        let sums = plan.steps.iter().filter(|s| s.name() == "reduce").count();
        assert_eq!(sums, 1, "{plan}");
        // Both transforms together on the host. On a GPU one axis, both ways along the other, and the first back.
        let transforms = if target == Target::Host { 1 } else { 3 };
        assert_eq!(plan.steps.len(), sums + transforms, "{plan}");
        assert!(plan.memory.slots.len() <= 2, "{plan}");
    }
}

/// Bytes of a plan for each element of the image and each of the coils.
fn bytes_per_element(a: &Linop, target: &Target, elements: usize) -> f64 {
    let cost = program(a).schedule(target, true).unwrap().cost();
    (cost.read + cost.written) as f64 / elements as f64
}

#[test]
fn normals_move_no_more_bytes_than_they_must() {
    let target = poorest(KernelShape::Gpu);
    let c = 8.0;
    // Three passes: maps 8 and image 8/C, store 8 | 8, mask 4/C, 8 | 8, store 8; then the sum over the coils: 8, maps 8, 8/C.
    let cartesian = bytes_per_element(&sense(8).n(), &target, 8 * 32 * 32);
    assert_eq!(cartesian, (8.0 + 8.0 / c + 8.0) + (16.0 + 4.0 / c) + 16.0 + (16.0 + 8.0 / c));
    // On a grid of twice the size: x of N rows 8 + 8/C + 8, 16 | y 16, 16/C, 16 | x of N rows 16, 8 | sum.
    let n = 16;
    let maps = linop::diagonal(format!("Y={n} X={n}"), &complex(format!("C=8 Y={n} X={n}"), 1)).unwrap();
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[4000, 2]), |i| {
        ((i[0] * (7 + 4 * i[1]) % 4000) as f64 / 4000.0 - 0.5) * n as f64
    });
    let options = linop::NufftOptions::default().toeplitz(Some(true));
    let f = linop::nufft(maps.output().unwrap(), &locs, "Y X", options, "C K").unwrap();
    let radial = bytes_per_element(&(f * maps).n(), &target, 8 * n * n);
    assert_eq!(radial, (8.0 + 8.0 / c + 16.0) + (16.0 + 16.0 / c + 16.0) + (16.0 + 8.0) + (16.0 + 8.0 / c));
    // A volume: each axis doubles what the next one reads, up to the last, which goes both ways.
    let locs = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[3000, 3]), |i| {
        ((i[0] * (7 + 4 * i[1]) % 3000) as f64 / 3000.0 - 0.5) * n as f64
    });
    let f = linop::nufft(format!("C=8 Z={n} Y={n} X={n}"), &locs, "Z Y X", options, "C K").unwrap();
    let volume = bytes_per_element(&f.n(), &target, 8 * n * n * n);
    assert_eq!(volume, (8.0 + 16.0) + (16.0 + 32.0) + (32.0 + 32.0 / c + 32.0) + (32.0 + 16.0) + (16.0 + 8.0));
}

#[test]
fn plans_are_the_same_every_time() {
    let a = sense(3).n();
    let plan = || program(&a).schedule(&poorest(KernelShape::Gpu), true).unwrap().to_string();
    assert_eq!(plan(), plan());
    assert_eq!(a.plan(&Device::host(), linops::DType::F32).unwrap().values[0].element_bytes(), 4);
}

/// The self-test runs every kernel that there is, and so do the tests that go through the catalogue.
#[test]
fn samples_and_catalogue_have_every_kernel() {
    use linops::internal::{Program, samples};
    use std::collections::BTreeSet;
    fn names<'a>(programs: impl Iterator<Item = &'a Program>, target: &Target) -> BTreeSet<&'static str> {
        let plans = programs.map(|p| p.schedule(target, true).unwrap());
        plans.flat_map(|plan| plan.steps.iter().map(|step| step.name()).collect::<Vec<_>>()).collect()
    }
    let shown = samples().unwrap();
    let all: Vec<_> = common::catalogue::cases()
        .into_iter()
        .flat_map(|c| [c.linop.clone(), c.linop.h(), c.linop.n()])
        .map(|a| a.program().unwrap())
        .collect();
    // Kernels that are for devices with work to spare, too.
    let busy = |target| match target {
        Target::Gpu(limits) => Target::Gpu(linops::internal::GpuLimits { fill: 1, ..limits }),
        host => host,
    };
    for target in [Target::Host, Target::software(), Target::poorest(), Target::rich()].map(busy) {
        let (shown, all) = (names(shown.iter().map(|s| &s.program), &target), names(all.iter().map(|p| &**p), &target));
        assert!(all.len() > 4, "{all:?}");
        assert_eq!(shown, all, "{target:?}");
    }
}

/// A linop that files can name is in the catalogue, so that what goes through it is told of every one.
#[test]
#[cfg(feature = "io")]
fn the_catalogue_has_every_linop_of_files() {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(file.path(), r#"{ "op": "none of them", "in": "N=4" }"#).unwrap();
    let told = linops::Linop::from_file(file.path()).unwrap_err().to_string();
    let list = told.rsplit_once("there are ").unwrap().1;
    let trees: Vec<String> = common::catalogue::cases().iter().map(|c| c.linop.to_string()).collect();
    // Those that are made of others.
    let made =
        ["nufft_lattice", "gridding", "downsample", "upsample", "crop", "adjoint", "normal", "sampling_at", "embed"];
    let ops: Vec<&str> = list.split([',', ' ']).filter(|op| !op.is_empty()).collect();
    assert!(ops.len() > 20, "{told}");
    for op in ops {
        if op == "custom" && cfg!(not(feature = "gpu")) {
            continue;
        }
        assert!(
            made.contains(&op) || trees.iter().any(|t| t.split(['\n', ' ', ':', '(']).any(|w| w == op)),
            "{op} in {told}"
        );
    }
}

/// Copies, weights, additions and reductions move 16 bytes with each access, several of them under way in each invocation.
#[test]
fn maps_and_sums_move_sixteen_bytes_at_once() {
    let rich = Target::Gpu(linops::internal::GpuLimits::rich());
    for (name, a, units) in common::kernels::many() {
        for (is_complex, units) in [true, false].into_iter().zip(units) {
            if !is_complex && name.contains("weighted") {
                continue;
            }
            let drafts = common::kernels::dispatches(&a, &rich, is_complex).unwrap();
            let read = |text: &str| text.lines().any(|l| l.contains("var<storage, read>") && l.contains("vec4<f32>"));
            assert_eq!(read(&drafts[0].text), units, "{name}, complex {is_complex}:\n{}", drafts[0].text);
            let written = |text: &str| text.lines().any(|l| l.contains("read_write") && l.contains("vec4<f32>"));
            let sums = name.contains("sum") && name != "sum of images";
            assert_eq!(written(&drafts[0].text), units && !sums, "{name}, complex {is_complex}");
        }
    }
}

/// The same values as in f64, on a device; of real data, too.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn sixteen_bytes_at_once_are_the_same_values() {
    let Some(device) = common::gpu() else { return };
    for (name, a, _) in common::kernels::many() {
        let shape = a.input().unwrap();
        let inputs = [complex(shape, 7), real(shape, 8)];
        for x in &inputs[..if name.contains("weighted") { 1 } else { 2 }] {
            let y = common::apply_on(&device, &a, x).unwrap();
            let want = apply_f64(&a, &common::data::wide(x)).unwrap();
            let off = common::data::distance(&y, &want);
            assert!(off <= 2e-6, "{name}, {}: {off:.1e}", x.dtype());
        }
    }
}
