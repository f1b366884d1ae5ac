//! Options that every computing verb takes, and the devices they choose.

use super::numbers::from_one;
use super::printer::complain;
use linops::{DType, Device, Error, Linop, MemoryUse, Result};
use std::num::NonZeroUsize;

#[derive(clap::Args)]
pub struct Common {
    /// Where to compute: auto (a hardware GPU, else the host), gpu, gpu:NAME, host, or several GPUs: gpu:NAME,gpu:NAME
    #[arg(long, value_name = "DEVICE", value_parser = device_name)]
    device: Option<String>,

    /// Run at most N sub-linops of a container at once; never changes a result
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    lanes: Option<NonZeroUsize>,

    /// Keep nothing on disk for the next run, and read nothing of an earlier one: kernels as the driver compiled them
    /// (LINOPS_CACHE_DIR says where else they are)
    #[arg(long)]
    no_cache: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

fn device_name(text: &str) -> Result<String, String> {
    match text {
        "auto" | "gpu" | "host" => Ok(text.into()),
        _ if text.split(',').all(|t| t.strip_prefix("gpu:").is_some_and(|name| !name.is_empty())) => Ok(text.into()),
        "cpu" | "CPU" | "Host" | "HOST" => Err("the CPU is called host: --device host".into()),
        _ => Err("expected auto, gpu, gpu:NAME, host (the CPU), or several as gpu:NAME,gpu:NAME".into()),
    }
}

impl Common {
    /// The chosen device; `auto` if none was named.
    pub fn device(&self) -> Result<Device> {
        self.heed_cache();
        let name = self.device.as_deref().unwrap_or("auto");
        if name == "auto" {
            warn_of_adapter("the host is used");
        }
        let device = Device::by_name(name)?;
        if name == "auto" && device.is_host() {
            warn_of_refused();
        }
        self.limited(device)
    }

    /// Says whether devices that are opened keep anything on disk.
    fn heed_cache(&self) {
        #[cfg(feature = "gpu")]
        if self.no_cache {
            linops::gpu::set_disk_cache(false);
        }
    }

    /// Whether a device was named.
    pub fn names_device(&self) -> bool {
        self.device.is_some()
    }

    /// Whether adapters are looked for.
    pub fn lists_adapters(&self) -> bool {
        self.device.as_deref() != Some("host")
    }

    /// The lanes that `--lanes` or the environment allows at most, if either does.
    pub fn lanes(&self) -> Option<usize> {
        self.lanes.map(NonZeroUsize::get).or_else(|| Device::host().lanes())
    }

    /// Lets a device use no more lanes than `--lanes` says, or else the environment.
    fn limited(&self, device: Device) -> Result<Device> {
        let said = std::env::var("LINOPS_LANES").ok().filter(|text| !text.is_empty());
        match (self.lanes, said) {
            (Some(n), _) => device.set_lanes(Some(n.get())),
            (None, Some(text)) if text.parse::<NonZeroUsize>().is_err() => {
                let what = format!("LINOPS_LANES is \"{text}\", expected a number of lanes from 1 on");
                return Err(Error::Value(what));
            }
            _ => {}
        }
        Ok(device)
    }

    /// The chosen device, or else all that are present: the host, and each adapter, software ones included.
    pub fn devices(&self) -> Result<Vec<Device>> {
        self.heed_cache();
        match &self.device {
            Some(name) => Ok(vec![self.limited(Device::by_name(name)?)?]),
            None => {
                let mut devices = vec![self.limited(Device::host())?];
                for name in adapters() {
                    devices.push(self.limited(Device::gpu_named(&name)?)?);
                }
                Ok(devices)
            }
        }
    }
}

/// Checks that what a linop needs can be had at all: a linop file of a few bytes may ask for terabytes, and an allocation
/// that fails later ends the program without a message.
pub fn expect_memory(linop: &Linop, dtype: DType, device: &Device) -> Result<()> {
    // Some constants are made when it runs.
    let needed = MemoryUse::of(&linop.plan(device, dtype)?)?.peak();
    let (input, output) = (linop.input()?, linop.output()?);
    expect_bytes(needed, || format!("{} from {input} to {output}", linop.label()))
}

/// Checks that so many bytes could be had beyond what is held already.
pub fn expect_bytes(needed: u64, what: impl FnOnce() -> String) -> Result<()> {
    // What the rest of the program may need meanwhile.
    const MARGIN: u64 = 8 << 20;
    match usize::try_from(needed.saturating_add(MARGIN)).is_ok_and(|n| Vec::<u8>::new().try_reserve_exact(n).is_ok()) {
        true => Ok(()),
        false => Err(Error::OutOfMemory(format!("{} needs {}", what(), bytes(needed)))),
    }
}

/// Says when `LINOPS_ADAPTER` names no adapter: where none was asked for, the host would be taken without a word.
pub fn warn_of_adapter(so: &str) {
    let Some(name) = std::env::var("LINOPS_ADAPTER").ok().filter(|name| !name.is_empty()) else { return };
    let names = adapters();
    if names.iter().any(|n| n.to_lowercase().contains(&name.to_lowercase())) {
        return;
    }
    let there = match names.is_empty() {
        true => "there is none".into(),
        false => format!("there are {}", names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")),
    };
    complain(&format!("LINOPS_ADAPTER is \"{name}\", but no adapter is called so ({there}); {so}"));
}

/// Says why a hardware GPU that is there is not used.
fn warn_of_refused() {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = linops::gpu::adapters().into_iter().find(|a| !a.software)
        && let Err(e) = Device::gpu_named(&gpu.label)
    {
        complain(&format!("the host is used, since the GPU is not: {e}"));
    }
}

/// All adapters, by what `gpu:` takes.
fn adapters() -> Vec<String> {
    #[cfg(feature = "gpu")]
    return linops::gpu::adapters().into_iter().map(|a| a.label).collect();
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}

/// Bytes for people: "1.5 MiB".
pub fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let power = (0..4).rev().find(|k| n >= 1 << (10 * (k + 1)));
    power
        .map_or_else(|| format!("{n} B"), |k| format!("{:.1} {}", n as f64 / (1u64 << (10 * (k + 1))) as f64, units[k]))
}

/// A count for people: "3.1 M".
pub fn count(n: u64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.iter().find(|(size, _)| n as f64 >= *size);
    unit.map_or_else(|| n.to_string(), |(size, name)| format!("{:.1} {name}", n as f64 / size))
}
