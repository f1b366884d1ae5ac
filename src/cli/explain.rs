//! `linops explain`: what a linop file says, and what runs for it.

mod kernels;
mod profile;

use super::DONE;
use super::common::{Common, bytes, count};
use super::dtypes::directions;
use super::numbers::byte_count;
use super::printer::{Printer, count_of};
use linops::explain::{Plan, Target};
use linops::internal::{PlanValue, Step};
use linops::io::LinopFile;
use linops::linop::NufftNormal;
use linops::{DType, Device, Error, Fit, Linop, MemoryUse, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// Print the text of each kernel
    #[arg(long)]
    wgsl: bool,

    /// Take real values as input; the adjoint takes what the linop makes of them. Otherwise all are complex
    #[arg(long)]
    real: bool,

    #[command(flatten)]
    kernels: kernels::KernelArgs,

    #[command(flatten)]
    profile: profile::ProfileArgs,

    /// Say in which tiles it takes at most so many bytes on the device, such as 64M or 1.5G
    #[arg(long, value_name = "BYTES", value_parser = byte_count, conflicts_with = "kind")]
    memory_budget: Option<u64>,

    /// Plan for a kind of GPU instead of a device that is here
    #[arg(long = "for", value_name = "KIND", conflicts_with_all = ["device", "lanes"])]
    kind: Option<Kind>,

    #[command(flatten)]
    pub common: Common,
}

/// A GPU that need not be here.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// A software adapter, with the default limits of WebGPU
    Software,
    /// A GPU with the default limits of WebGPU
    Poorest,
    /// A GPU with 48 KiB of workgroup memory and 1024 invocations
    Rich,
}

impl Kind {
    fn target(self) -> Target {
        match self {
            Kind::Software => Target::software(),
            Kind::Poorest => Target::poorest(),
            Kind::Rich => Target::rich(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Software => "a software adapter",
            Kind::Poorest => "a GPU with the default limits",
            Kind::Rich => "a GPU with 48 KiB of workgroup memory and 1024 invocations",
        }
    }
}

/// What the plans are for.
enum Planned {
    On(Device),
    For(Kind),
}

impl Planned {
    fn plan(&self, linop: &Linop, dtype: DType) -> Result<Plan> {
        match self {
            Planned::On(device) => linop.plan(device, dtype),
            Planned::For(kind) => linop.plan_for(&kind.target(), dtype),
        }
    }

    fn name(&self) -> String {
        match self {
            Planned::On(device) => device.name(),
            Planned::For(kind) => kind.name().into(),
        }
    }
}

impl Args {
    /// Whether adapters are looked for.
    pub fn lists_adapters(&self) -> bool {
        self.kind.is_none() && self.common.lists_adapters()
    }

    fn planned(&self) -> Result<Planned> {
        match self.kind {
            Some(kind) => Ok(Planned::For(kind)),
            None => Ok(Planned::On(self.common.device()?)),
        }
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let LinopFile { linop, mut files, .. } = LinopFile::read(&args.file)?;
    files.push(args.file.clone());
    let planned = args.planned()?;
    let wanted = args.wgsl || args.kernels.folder().is_some();
    if wanted && matches!(&planned, Planned::On(device) if device.is_host()) {
        let what = "the host runs no kernels; choose a GPU by --device gpu, or a kind of one by --for";
        return Err(Error::Device(what.into()));
    }
    let directions = directions(&linop, args.real)?;
    let mut profiler = match &planned {
        Planned::On(device) => args.profile.begin(device, &directions, &files)?,
        Planned::For(_) => None,
    };
    args.kernels.make_folder()?;
    printer.line(&linop);
    printer.line(format_args!("\ndevice {}", planned.name()));
    let normals = linop.nufft_normals()?;
    let (mut plans, mut texts) = (serde_json::Map::new(), Vec::new());
    let (mut containers, mut files) = (Value::Null, BTreeSet::new());
    let mut unfit: Option<Error> = None;
    for (name, linop, dtype) in directions {
        printer.line(format_args!("\n{name}: {} -> {}", linop.input()?, linop.output()?));
        let whole = planned.plan(&linop, dtype).and_then(|plan| Ok((MemoryUse::of(&plan)?, plan)));
        let mut said = match &whole {
            Ok((memory, plan)) => {
                show(plan, memory, if name == "normal" { &normals } else { &[] }, printer);
                value(plan, memory)
            }
            // In tiles it may fit.
            Err(e) if args.memory_budget.is_some() && matches!(e.root(), Error::TooBig { .. }) => {
                printer.line(format_args!("  whole: {e}"));
                json!({ "error": e.to_string() })
            }
            Err(e) => return Err(e.clone()),
        };
        if let Some(profiler) = &mut profiler {
            said["profile"] = profiler.measure(name, (&linop, dtype), printer)?;
        }
        if let (Some(budget), Planned::On(device)) = (args.memory_budget, &planned) {
            let fit = linop.fit(device, dtype, budget);
            said["within"] = within(budget, &fit, printer);
            match fit {
                Err(e) if matches!(e.root(), Error::TooBig { .. }) => unfit = unfit.or(Some(e.at(name))),
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
        if let Ok((_, plan)) = &whole {
            if args.wgsl {
                for (kernel, text) in kernels::texts(plan)? {
                    let shown = json!({ "kernel": kernel, "text": text });
                    if !texts.contains(&shown) {
                        printer.line(format_args!("\n// {name}: {kernel}\n{text}"));
                        texts.push(shown);
                    }
                }
            }
            files.extend(args.kernels.write(plan)?);
            if containers.is_null() {
                containers = json!(plan.regions);
            }
        }
        plans.insert(name.to_string(), said);
    }
    if let Some(folder) = args.kernels.folder() {
        printer.line(format_args!("\n{} in {}", count_of(files.len(), "kernel file"), folder.display()));
    }
    let roof = profiler.map(|p| p.finish(printer)).transpose()?;
    printer.json(&json!({
        "linop": linop.to_string(),
        "input": linop.input()?.to_string(),
        "output": linop.output()?.to_string(),
        "device": planned.name(),
        "containers": containers,
        "plans": plans,
        "roof": roof,
        "nufft_normals": normals,
        "wgsl": texts,
        "kernels": files,
    }));
    unfit.map_or(Ok(DONE), Err)
}

/// Says in which tiles a budget is kept, or that it cannot be.
fn within(budget: u64, fit: &Result<Fit>, printer: &Printer) -> Value {
    let said = match fit {
        Ok(f) => format!("{}, {}", f.how(), bytes(f.peak)),
        Err(e) => e.to_string(),
    };
    printer.line(format_args!("  within {}: {said}", bytes(budget)));
    match fit {
        Ok(f) => json!({
            "bytes": budget, "tiles": f.tiling.to_string(), "from_host": f.staged, "peak_bytes": f.peak,
        }),
        Err(e) => json!({ "bytes": budget, "error": e.to_string() }),
    }
}

/// Prints a plan: its kernels, its memory, how normals are computed in it, its containers.
fn show(plan: &Plan, memory: &MemoryUse, normals: &[NufftNormal], printer: &Printer) {
    for step in &plan.steps {
        printer.line(format_args!("  {}", step_line(plan, step)));
    }
    printer.line(format_args!("  {}", totals(plan)));
    printer.line(format_args!("  {}", memory_line(plan, memory)));
    let on_host: Vec<&Step> = plan.steps.iter().filter(|s| s.runs_on_host()).collect();
    if !on_host.is_empty() {
        let moved = on_host.iter().map(|s| plan.step_cost(s)).fold(0, |n, c| n + c.read + c.written);
        let steps = count_of(on_host.len(), "step");
        printer.line(format_args!("  host: {steps} of functions, whose {} go there and back", bytes(moved)));
    }
    for n in normals {
        printer.line(format_args!("  normal of {}: {n}", n.transform));
    }
    for region in &plan.regions {
        printer.line(format_args!(
            "  container {} of {}: {}, {} in flight, {} ({})",
            region.label,
            count_of(region.linops, "linop"),
            region.schedule,
            region.in_flight,
            count_of(region.waves, "wave"),
            region.reason
        ));
    }
}

/// One kernel: what, result, bytes and flops.
fn step_line(plan: &Plan, step: &Step) -> String {
    let (cost, y) = (plan.step_cost(step), &plan.values[step.store.value.at()]);
    format!(
        "{:<9} -> {:<24} read {:>9}  write {:>9}  {:>8} flop",
        step.name(),
        format!("{} {:?}", dtype(y), y.extents),
        bytes(cost.read),
        bytes(cost.written),
        count(cost.flops)
    )
}

fn totals(plan: &Plan) -> String {
    let cost = plan.cost();
    format!(
        "{}, read {}, write {}, {} flop",
        count_of(plan.steps.len(), "kernel"),
        bytes(cost.read),
        bytes(cost.written),
        count(cost.flops)
    )
}

/// What the memory is for, and how much it is at most.
fn memory_line(plan: &Plan, m: &MemoryUse) -> String {
    let mut line = format!(
        "memory at most {}: input {}, output {}, scratch {} in {}, constants {}, tables {}",
        bytes(m.peak()),
        bytes(m.input),
        bytes(m.output),
        bytes(m.scratch),
        count_of(plan.memory.slots.len(), "buffer"),
        bytes(m.constants),
        bytes(m.tables)
    );
    if m.tasks.threads > 0 {
        let (threads, all) = (m.tasks.threads, bytes(m.tasks.bytes()));
        line += &format!(", tasks {all} ({threads} x {}, {} shared)", bytes(m.tasks.each), bytes(m.tasks.shared));
    }
    line
}

fn value(plan: &Plan, memory: &MemoryUse) -> Value {
    let steps = plan.steps.iter().map(|s| {
        let y = &plan.values[s.store.value.at()];
        json!({ "kernel": s.name(), "extents": y.extents, "dtype": dtype(y), "cost": plan.step_cost(s) })
    });
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "cost": plan.cost(),
        "memory": memory,
        "peak_bytes": memory.peak(),
        "containers": plan.regions,
    })
}

fn dtype(value: &PlanValue) -> &'static str {
    if value.complex { "complex64" } else { "float32" }
}
