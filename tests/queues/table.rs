//! Virtual queues: a Vulkan device of one queue that acts as if it had many, by replacing functions in its table.
//!
//! Each virtual queue has a thread that takes its submissions in order, waits as long as a seed says, waits on the host for the
//! timeline values that the submission waits for, and only then hands it to the one real queue. So the order between queues is
//! as loose as Vulkan allows, and a missing wait shows as a wrong result. On the way, calls are counted.

use ash::vk::{self, Handle};
use linops::internal::queues::Lanes;
use linops::wgpu;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// How the virtual queues behave.
#[derive(Clone, Copy, Default)]
pub struct Behaviour {
    /// Delays before each submission, drawn from this seed; none: in order as far as the waits allow.
    pub chaos: Option<u64>,
    /// Take no notice of waits for other queues: what a library that forgets them would do.
    pub no_waits: bool,
}

/// What a device with virtual queues has seen, and what it shall do next.
pub struct Watch {
    pub destroyed: AtomicUsize,
    pub submits: AtomicUsize,
    /// Waits for timeline values that submissions carried.
    pub waits: AtomicUsize,
    /// Values that did not come in time.
    pub stuck: AtomicUsize,
    /// The next submission to this queue index fails; none: `usize::MAX`.
    pub fail_next: AtomicUsize,
}

/// A value that does not come within this time never will.
const STUCK: Duration = Duration::from_secs(20);

struct Native {
    real: ash::Device,
    queue: Mutex<vk::Queue>,
    behaviour: Behaviour,
    watch: Arc<Watch>,
    timelines: Mutex<HashSet<u64>>,
    queues: Mutex<Vec<Arc<VirtualQueue>>>,
}

struct VirtualQueue {
    native: Arc<Native>,
    index: usize,
    handle: vk::Queue,
    jobs: Mutex<Option<Sender<Job>>>,
    pending: Mutex<usize>,
    idle: Condvar,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

struct Job {
    buffers: Vec<vk::CommandBuffer>,
    waits: Vec<(vk::Semaphore, u64)>,
    signals: Vec<(vk::Semaphore, u64)>,
    fence: vk::Fence,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|e| e.into_inner())
}

// The replaced functions know nothing but their arguments.
type ByHandle<T> = OnceLock<Mutex<HashMap<u64, Arc<T>>>>;
static DEVICES: ByHandle<Native> = OnceLock::new();
static QUEUES: ByHandle<VirtualQueue> = OnceLock::new();
static BARRIER: OnceLock<vk::PFN_vkCmdPipelineBarrier> = OnceLock::new();

fn of<T>(all: &'static ByHandle<T>, handle: u64) -> Option<Arc<T>> {
    lock(all.get_or_init(Mutex::default)).get(&handle).cloned()
}

thread_local! {
    static BARRIERS: Cell<usize> = const { Cell::new(0) };
}

/// Calls of `vkCmdPipelineBarrier` that this thread makes in `f`.
pub fn barriers_in<T>(f: impl FnOnce() -> T) -> (usize, T) {
    let before = BARRIERS.get();
    let out = f();
    (BARRIERS.get() - before, out)
}

/// Lanes over `n` virtual queues of an adapter that may have a single one.
pub fn lanes(adapter: &wgpu::Adapter, n: usize, behaviour: Behaviour) -> (Lanes, Arc<Watch>) {
    let watch = Arc::new(Watch {
        destroyed: AtomicUsize::new(0),
        submits: AtomicUsize::new(0),
        waits: AtomicUsize::new(0),
        stuck: AtomicUsize::new(0),
        fail_next: AtomicUsize::new(usize::MAX),
    });
    let hook = |instance: &ash::Instance, real: ash::Device| replace(instance, real, behaviour, watch.clone());
    let desc = wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
        ..Default::default()
    };
    // SAFETY: the table below does what Vulkan says, for any number of queues.
    let lanes = unsafe { Lanes::open_through(adapter, &desc, n, &hook) }.expect("a device with virtual queues");
    (lanes, watch)
}

fn replace(instance: &ash::Instance, real: ash::Device, behaviour: Behaviour, watch: Arc<Watch>) -> ash::Device {
    static ENTRY: OnceLock<ash::Entry> = OnceLock::new();
    // SAFETY: the Vulkan loader, which is loaded already, is not unloaded: the entry is never dropped.
    let entry = ENTRY.get_or_init(|| unsafe { ash::Entry::load() }.expect("the Vulkan loader"));
    BARRIER.get_or_init(|| {
        // SAFETY: the loader's function of this name has this type. It finds the device by the command buffer, so one serves all.
        unsafe {
            let f = entry.get_instance_proc_addr(instance.handle(), c"vkCmdPipelineBarrier".as_ptr());
            std::mem::transmute::<vk::PFN_vkVoidFunction, vk::PFN_vkCmdPipelineBarrier>(f)
        }
    });
    if std::env::var("LINOPS_VALIDATION").is_ok_and(|v| v == "bad") {
        let bad = vk::BufferCreateInfo::default().size(0).usage(vk::BufferUsageFlags::STORAGE_BUFFER);
        // SAFETY: deliberately not as Vulkan wants it: the control of the validation test. Drivers make an empty buffer of it.
        unsafe {
            if let Ok(b) = real.create_buffer(&bad, None) {
                real.destroy_buffer(b, None);
            }
        }
    }
    // SAFETY: every family has a queue 0, and the device was made with one of family 0.
    let queue = unsafe { real.get_device_queue(0, 0) };
    let handle = real.handle();
    let native = Arc::new(Native {
        real,
        queue: Mutex::new(queue),
        behaviour,
        watch,
        timelines: Mutex::default(),
        queues: Mutex::default(),
    });
    lock(DEVICES.get_or_init(Mutex::default)).insert(handle.as_raw(), native);
    let get = instance.fp_v1_0().get_device_proc_addr;
    let replaced = |name: &CStr| -> Option<*const c_void> {
        Some(match name.to_bytes() {
            b"vkGetDeviceQueue" => get_device_queue as *const () as _,
            b"vkQueueSubmit" => queue_submit as *const () as _,
            b"vkQueueWaitIdle" => queue_wait_idle as *const () as _,
            b"vkDestroyDevice" => destroy_device as *const () as _,
            b"vkCreateSemaphore" => create_semaphore as *const () as _,
            b"vkCmdPipelineBarrier" => cmd_pipeline_barrier as *const () as _,
            _ => return None,
        })
    };
    // SAFETY: the functions are this device's own, or those below, which have the same types.
    unsafe {
        ash::Device::load_with(
            |name| match replaced(name) {
                Some(f) => f,
                None => get(handle, name.as_ptr()).map_or(std::ptr::null(), |f| f as *const c_void),
            },
            handle,
        )
    }
}

unsafe extern "system" fn get_device_queue(device: vk::Device, _family: u32, index: u32, out: *mut vk::Queue) {
    static NEXT: AtomicU64 = AtomicU64::new(0x7100_0000);
    let Some(native) = of(&DEVICES, device.as_raw()) else { return };
    let handle = vk::Queue::from_raw(NEXT.fetch_add(8, SeqCst));
    let (sender, jobs) = channel();
    let queue = Arc::new(VirtualQueue {
        native: native.clone(),
        index: index as usize,
        handle,
        jobs: Mutex::new(Some(sender)),
        pending: Mutex::new(0),
        idle: Condvar::new(),
        thread: Mutex::default(),
    });
    let its = queue.clone();
    *lock(&queue.thread) = Some(std::thread::spawn(move || its.run(&jobs)));
    lock(QUEUES.get_or_init(Mutex::default)).insert(handle.as_raw(), queue.clone());
    lock(&native.queues).push(queue);
    // SAFETY: the caller gives a place for a handle.
    unsafe { *out = handle };
}

unsafe extern "system" fn create_semaphore(
    device: vk::Device,
    info: *const vk::SemaphoreCreateInfo,
    alloc: *const vk::AllocationCallbacks,
    out: *mut vk::Semaphore,
) -> vk::Result {
    let Some(native) = of(&DEVICES, device.as_raw()) else { return vk::Result::ERROR_UNKNOWN };
    // SAFETY: the arguments are passed on as they came; the chain is walked as Vulkan defines it.
    unsafe {
        let result = (native.real.fp_v1_0().create_semaphore)(device, info, alloc, out);
        let kind: Option<&vk::SemaphoreTypeCreateInfo> =
            chained((*info).p_next, vk::StructureType::SEMAPHORE_TYPE_CREATE_INFO);
        if result == vk::Result::SUCCESS && kind.is_some_and(|k| k.semaphore_type == vk::SemaphoreType::TIMELINE) {
            lock(&native.timelines).insert((*out).as_raw());
        }
        result
    }
}

/// The structure of a type in a chain.
unsafe fn chained<'a, T>(mut next: *const c_void, wanted: vk::StructureType) -> Option<&'a T> {
    while !next.is_null() {
        // SAFETY: every structure of a chain begins like this one, and one of the wanted type is a T.
        unsafe {
            let base = &*next.cast::<vk::BaseInStructure>();
            if base.s_type == wanted {
                return Some(&*next.cast::<T>());
            }
            next = base.p_next.cast();
        }
    }
    None
}

unsafe extern "system" fn queue_submit(
    queue: vk::Queue,
    count: u32,
    infos: *const vk::SubmitInfo,
    fence: vk::Fence,
) -> vk::Result {
    let Some(queue) = of(&QUEUES, queue.as_raw()) else { return vk::Result::ERROR_UNKNOWN };
    let native = &queue.native;
    native.watch.submits.fetch_add(1, SeqCst);
    if native.watch.fail_next.compare_exchange(queue.index, usize::MAX, SeqCst, SeqCst).is_ok() {
        return vk::Result::ERROR_OUT_OF_DEVICE_MEMORY;
    }
    for k in 0..count as usize {
        // SAFETY: the caller gives `count` of them, with arrays as long as they say; empty ones may be null.
        let job = unsafe {
            let info = &*infos.add(k);
            fn list<'a, T>(at: *const T, n: u32) -> &'a [T] {
                match at.is_null() {
                    true => &[],
                    // SAFETY: as above.
                    false => unsafe { std::slice::from_raw_parts(at, n as usize) },
                }
            }
            let values: Option<&vk::TimelineSemaphoreSubmitInfo> =
                chained(info.p_next, vk::StructureType::TIMELINE_SEMAPHORE_SUBMIT_INFO);
            let timelines = lock(&native.timelines);
            let pair = |semaphores: &[vk::Semaphore], values: &[u64]| -> Vec<(vk::Semaphore, u64)> {
                // Binary semaphores only chain submissions of one queue, which its thread does anyway.
                let all = semaphores.iter().zip(values);
                all.filter(|(s, _)| timelines.contains(&s.as_raw())).map(|(s, v)| (*s, *v)).collect()
            };
            let waits = list(info.p_wait_semaphores, info.wait_semaphore_count);
            let signals = list(info.p_signal_semaphores, info.signal_semaphore_count);
            let of_waits = values.map_or(&[][..], |v| list(v.p_wait_semaphore_values, v.wait_semaphore_value_count));
            let of_signals =
                values.map_or(&[][..], |v| list(v.p_signal_semaphore_values, v.signal_semaphore_value_count));
            Job {
                buffers: list(info.p_command_buffers, info.command_buffer_count).to_vec(),
                waits: pair(waits, of_waits),
                signals: pair(signals, of_signals),
                fence: if k + 1 == count as usize { fence } else { vk::Fence::null() },
            }
        };
        native.watch.waits.fetch_add(job.waits.len(), SeqCst);
        *lock(&queue.pending) += 1;
        if lock(&queue.jobs).as_ref().is_none_or(|s| s.send(job).is_err()) {
            return vk::Result::ERROR_DEVICE_LOST;
        }
    }
    vk::Result::SUCCESS
}

impl VirtualQueue {
    fn run(&self, jobs: &Receiver<Job>) {
        let native = &self.native;
        let mut random =
            native.behaviour.chaos.map(|seed| seed.wrapping_mul(0x9e37_79b9).wrapping_add(self.index as u64 + 1));
        let mut delay = || {
            let Some(r) = &mut random else { return };
            *r = r.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Mostly none: what is late should be late beside something that is not.
            if (*r >> 40) % 3 == 0 {
                std::thread::sleep(Duration::from_micros((*r >> 33) % 1500));
            }
        };
        while let Ok(job) = jobs.recv() {
            delay();
            if !native.behaviour.no_waits {
                for (semaphore, value) in &job.waits {
                    let (s, v) = ([*semaphore], [*value]);
                    let wait = vk::SemaphoreWaitInfo::default().semaphores(&s).values(&v);
                    // SAFETY: semaphore and device live as long as submissions wait for them.
                    if unsafe { native.real.wait_semaphores(&wait, STUCK.as_nanos() as u64) }.is_err() {
                        native.watch.stuck.fetch_add(1, SeqCst);
                    }
                }
            }
            delay();
            let (semaphores, values): (Vec<_>, Vec<_>) = job.signals.iter().copied().unzip();
            let mut timeline = vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&values);
            let info = vk::SubmitInfo::default().command_buffers(&job.buffers).signal_semaphores(&semaphores);
            let info = info.push_next(&mut timeline);
            {
                let queue = lock(&native.queue);
                // SAFETY: the caller keeps the command buffers until the signals say that they are done; the lock is held.
                if unsafe { native.real.queue_submit(*queue, &[info], job.fence) }.is_err() {
                    native.watch.stuck.fetch_add(1, SeqCst);
                }
            }
            *lock(&self.pending) -= 1;
            self.idle.notify_all();
        }
    }

    fn wait_idle(&self) {
        let mut pending = lock(&self.pending);
        while *pending > 0 {
            pending = self.idle.wait(pending).unwrap_or_else(|e| e.into_inner());
        }
    }
}

unsafe extern "system" fn queue_wait_idle(queue: vk::Queue) -> vk::Result {
    let Some(queue) = of(&QUEUES, queue.as_raw()) else { return vk::Result::ERROR_UNKNOWN };
    queue.wait_idle();
    let real = lock(&queue.native.queue);
    // SAFETY: the queue is the device's, and the lock is held.
    match unsafe { queue.native.real.queue_wait_idle(*real) } {
        Ok(()) => vk::Result::SUCCESS,
        Err(e) => e,
    }
}

unsafe extern "system" fn destroy_device(device: vk::Device, _: *const vk::AllocationCallbacks) {
    let native = lock(DEVICES.get_or_init(Mutex::default)).remove(&device.as_raw());
    let Some(native) = native else {
        // A second time: counted by nobody's watch, so it must not pass.
        eprintln!("a device was destroyed twice");
        std::process::abort();
    };
    for queue in std::mem::take(&mut *lock(&native.queues)) {
        *lock(&queue.jobs) = None;
        if let Some(t) = lock(&queue.thread).take() {
            let _ = t.join();
        }
        lock(QUEUES.get_or_init(Mutex::default)).remove(&queue.handle.as_raw());
    }
    native.watch.destroyed.fetch_add(1, SeqCst);
    // SAFETY: the caller says that nothing uses the device any more.
    unsafe { native.real.destroy_device(None) };
}

#[allow(clippy::too_many_arguments)]
unsafe extern "system" fn cmd_pipeline_barrier(
    commands: vk::CommandBuffer,
    from: vk::PipelineStageFlags,
    to: vk::PipelineStageFlags,
    flags: vk::DependencyFlags,
    memory_count: u32,
    memory: *const vk::MemoryBarrier,
    buffer_count: u32,
    buffers: *const vk::BufferMemoryBarrier,
    image_count: u32,
    images: *const vk::ImageMemoryBarrier,
) {
    BARRIERS.set(BARRIERS.get() + 1);
    if let Some(real) = BARRIER.get() {
        // SAFETY: the arguments are passed on as they came.
        unsafe {
            real(commands, from, to, flags, memory_count, memory, buffer_count, buffers, image_count, images);
        }
    }
}
