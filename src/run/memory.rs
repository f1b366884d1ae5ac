//! What applying a plan takes of memory.

use crate::error::Result;
use crate::host;
use crate::loops::Taken;
use crate::plan::{Plan, Target};
use serde::Serialize;

/// What applying a plan takes of memory, in bytes. Code, and what describes a plan (kilobytes), are not counted.
///
/// ```
/// use linops::{Device, DType, MemoryUse, linop};
/// let a = linop::fft("C=8 Y=64 X=64", "Y X", Default::default())?;
/// let memory = MemoryUse::of(&a.plan(&Device::host(), DType::Complex32)?)?;
/// assert_eq!((memory.input, memory.output), (8 * 64 * 64 * 8, 8 * 64 * 64 * 8));
/// assert!(memory.peak() >= memory.input + memory.output + memory.scratch);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// The input. (One on the host that is not in C order is copied first, which is not counted.)
    pub input: u64,
    /// The output.
    pub output: u64,
    /// Buffers of the values in between. An apply leases them and leaves them for the next; applies at the same time have each
    /// their own.
    pub scratch: u64,
    /// Weights and kernels; on the host tables of points and index lists, too. Shared by all plans on a device that read them.
    /// A GPU's copies are meant; those that they were made of stay on the host as long as the linop.
    pub constants: u64,
    /// Tables of the plan's own. On the host twiddle factors, at most so many bytes for each apply that runs at the same time;
    /// on a GPU these, records of points, and index lists.
    pub tables: u64,
    /// Buffers of the host's tasks: the threads of rayon's current pool, the bytes that each of them takes at most, and those
    /// that all share. Of a plan for a GPU, copies for the steps that the host runs.
    pub tasks: TaskMemory,
}

/// Buffers of the host's tasks; on a GPU, of the steps that the host runs for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskMemory {
    /// Threads.
    pub threads: usize,
    /// Bytes that each thread takes, at most.
    pub each: u64,
    /// Bytes that they take together, at most: partial sums, and lists of what each task does.
    pub shared: u64,
}

impl TaskMemory {
    /// All bytes, at most.
    pub fn bytes(&self) -> u64 {
        self.threads as u64 * self.each + self.shared
    }
}

impl MemoryUse {
    /// What a plan takes on the device that it was made for; on the host, with the threads of rayon's current pool. On a GPU
    /// buffers count with their size classes.
    ///
    /// # Errors
    /// The plan is for a GPU, and what it binds exceeds the GPU's limits; or there is no GPU support in this build.
    pub fn of(plan: &Plan) -> Result<MemoryUse> {
        let (input, output) = (plan.values[0].bytes(), plan.values[plan.output.at()].bytes());
        let scratch = plan.memory.scratch_bytes();
        match plan.target {
            Target::Host => {
                let threads = rayon::current_num_threads();
                let Taken { each, shared } = host::taken(plan, threads);
                Ok(MemoryUse {
                    input,
                    output,
                    scratch,
                    constants: host::constant_bytes(plan),
                    tables: host::table_bytes(plan),
                    tasks: TaskMemory { threads, each, shared },
                })
            }
            Target::Gpu(limits) => {
                let class = |bytes: u64| crate::plan::size_class(bytes).min(limits.max_buffer / 4 * 4);
                let (constants, tables) = uploaded(plan, class)?;
                let (input, output) = (class(input), class(output));
                // One after the other.
                let each = plan.steps.iter().map(|s| s.bytes_on_host(plan)).max().unwrap_or(0);
                let tasks = TaskMemory { threads: usize::from(each > 0), each, shared: 0 };
                Ok(MemoryUse { input, output, scratch, constants, tables, tasks })
            }
        }
    }

    /// All but the constants: what an apply takes for itself.
    pub fn apply(&self) -> u64 {
        self.input + self.output + self.scratch + self.tables + self.tasks.bytes()
    }

    /// All together.
    pub fn peak(&self) -> u64 {
        self.apply() + self.constants
    }
}

fn uploaded(plan: &Plan, class: impl Fn(u64) -> u64) -> Result<(u64, u64)> {
    let uploads = crate::plan::Uploads::of(plan)?;
    let constants = uploads.constants.iter().map(|c| class(c.bytes())).sum();
    Ok((constants, uploads.tables.iter().map(|t| class(t.table_bytes())).sum()))
}
