//! Compiled plans, kept while they fit a byte budget; the least recently used go first.

use super::device::{Device, Kind};
use crate::error::Result;
use crate::host::HostInstance;
use crate::ir::Program;
use crate::plan::{Plan, PlanOptions};
use crate::tensor::DType;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// A plan with what its device needs to run it. Instances (scratch) are leased for each apply.
pub(crate) enum Compiled {
    Host {
        plan: Plan,
        idle: Mutex<Vec<HostInstance<f32>>>,
    },
    #[cfg(feature = "gpu")]
    Gpu(crate::gpu::CompiledPlan),
}

impl Compiled {
    pub fn plan(&self) -> &Plan {
        match self {
            Compiled::Host { plan, .. } => plan,
            #[cfg(feature = "gpu")]
            Compiled::Gpu(c) => c.plan(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    program: Arc<Program>,
    device: u64,
    dtype: DType,
    options: PlanOptions,
}

struct Entry {
    compiled: Arc<Compiled>,
    bytes: u64,
    used: u64,
}

struct Cache {
    entries: HashMap<Key, Entry>,
    clock: u64,
    budget: u64,
}

fn cache() -> &'static Mutex<Cache> {
    static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
    CACHE.get_or_init(|| Mutex::new(Cache { entries: HashMap::new(), clock: 0, budget: 1 << 30 }))
}

/// Sets how many bytes of scratch and constants compiled plans may keep between applies (1 GiB at first). The plan in use
/// is always kept.
pub fn set_cache_budget(bytes: u64) {
    let mut c = cache().lock().unwrap_or_else(|e| e.into_inner());
    c.budget = bytes;
    c.trim(None);
}

/// Drops all compiled plans that are not in use.
pub fn clear_cache() {
    cache().lock().unwrap_or_else(|e| e.into_inner()).entries.clear();
}

/// The compiled plan of a program on a device.
pub(crate) fn compiled(program: &Arc<Program>, device: &Device, dtype: DType) -> Result<Arc<Compiled>> {
    let options = device.plan_options();
    let key = Key { program: program.clone(), device: device.id(), dtype, options: options.clone() };
    {
        let mut c = cache().lock().unwrap_or_else(|e| e.into_inner());
        c.clock += 1;
        let now = c.clock;
        if let Some(e) = c.entries.get_mut(&key) {
            e.used = now;
            return Ok(e.compiled.clone());
        }
    }
    // Compiled outside the lock: it may take long. Two threads may do it at once; one result is kept.
    let plan = program.schedule_with(&device.target(), dtype == DType::Complex32, &options)?;
    let bytes = plan.memory.scratch_bytes() + crate::host::constant_bytes(&plan);
    let compiled = Arc::new(match &device.0 {
        Kind::Host => Compiled::Host { plan, idle: Mutex::new(Vec::new()) },
        #[cfg(feature = "gpu")]
        Kind::Gpu(g) => Compiled::Gpu(crate::gpu::CompiledPlan::new(g, plan)?),
    });
    let mut c = cache().lock().unwrap_or_else(|e| e.into_inner());
    let used = c.clock;
    let kept = c.entries.entry(key.clone()).or_insert(Entry { compiled, bytes, used }).compiled.clone();
    c.trim(Some(&key));
    Ok(kept)
}

impl Cache {
    fn trim(&mut self, keep: Option<&Key>) {
        let mut total: u64 = self.entries.values().map(|e| e.bytes).sum();
        while total > self.budget {
            let oldest = self.entries.iter().filter(|(k, _)| Some(*k) != keep).min_by_key(|(_, e)| e.used);
            let Some((key, bytes)) = oldest.map(|(k, e)| (k.clone(), e.bytes)) else { return };
            self.entries.remove(&key);
            total -= bytes;
        }
    }
}
