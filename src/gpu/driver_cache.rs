//! Pipelines as the driver compiled them, kept on disk for the next process.
//!
//! A file for each adapter, driver and version of this crate. It is read when a device is opened, and written when the device
//! goes, when the process ends, and after some new pipelines on the way, if the driver has more than was read. A process that
//! ends without any of this loses what it has compiled, nothing else; of two that write at once the last one's is kept.

use super::device_file::DeviceFile;
use super::faults::reported;
use super::pipelines::driver_cache;
use crate::kept::{Folder, fnv};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// New pipelines after which the file is written while the device goes on.
const EACH: usize = 64;

static ON: AtomicBool = AtomicBool::new(true);
static LIVE: Mutex<Vec<Weak<DriverCache>>> = Mutex::new(Vec::new());

/// Whether devices that are opened from now on keep their compiled kernels on disk for the next process (they do at first),
/// where their [options](super::GpuOptions::disk_cache) do not say it. Files stand in the folder that `LINOPS_CACHE_DIR` names,
/// else in `linops` in the user's cache folder.
pub fn set_disk_cache(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

/// The folder of files that are kept for the next process; None where they are off, or the system has no such folder.
pub fn disk_cache() -> Option<PathBuf> {
    folder(None).map(|f| f.path().to_path_buf())
}

pub(super) fn folder(asked: Option<bool>) -> Option<Folder> {
    asked.unwrap_or_else(|| ON.load(Ordering::Relaxed)).then(Folder::of_user).flatten()
}

/// The driver's cache of one device.
#[derive(Debug)]
pub(super) struct DriverCache {
    cache: wgpu::PipelineCache,
    /// None for further lanes of the same adapter.
    file: Option<DeviceFile>,
    /// Pipelines compiled since the file was last looked at.
    new: AtomicUsize,
    /// Hash of what the file holds.
    held: Mutex<Option<u64>>,
}

impl DriverCache {
    /// One for each of these devices; None where the backend has none. The first device of an adapter writes its file.
    pub fn of<'d>(devices: impl Iterator<Item = &'d wgpu::Device>, folder: &Folder) -> Vec<Option<Arc<DriverCache>>> {
        let mut seen: Vec<String> = Vec::new();
        devices
            .map(|device| {
                let file = file(device, folder)?;
                let writes = !seen.iter().any(|key| key == file.key());
                seen.push(file.key().to_string());
                DriverCache::open(device, file, writes)
            })
            .collect()
    }

    fn open(device: &wgpu::Device, file: DeviceFile, writes: bool) -> Option<Arc<DriverCache>> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let data = file.read();
        let (cache, error) = reported(device, || driver_cache(device, data.as_ref()));
        if let Some(e) = error {
            tracing::info!("compiled kernels are not kept: {e}");
            return None;
        }
        let held = data.map(|d| fnv(d.bytes()));
        let new = AtomicUsize::new(0);
        let cache = Arc::new(DriverCache { cache, file: writes.then_some(file), new, held: Mutex::new(held) });
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|c| c.strong_count() > 0);
        live.push(Arc::downgrade(&cache));
        Some(cache)
    }

    pub fn get(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// A pipeline was compiled.
    pub fn note(&self) {
        if self.new.fetch_add(1, Ordering::Relaxed) + 1 >= EACH {
            self.save();
        }
    }

    /// Writes what the driver has by now, if that is not what the file holds.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        if self.new.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let Some(data) = self.cache.get_data() else { return };
        let hash = fnv(&data);
        if *self.held.lock().unwrap_or_else(PoisonError::into_inner) == Some(hash) {
            return;
        }
        match file.write(&data) {
            Ok(()) => *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash),
            Err(e) => tracing::info!("compiled kernels are not kept in {}: {e}", file.folder().display()),
        }
    }
}

impl Drop for DriverCache {
    fn drop(&mut self) {
        self.save();
    }
}

/// Writes what devices that still are there have compiled: the process ends.
pub(super) fn save_all() {
    let Ok(live) = LIVE.try_lock() else { return };
    let all: Vec<Arc<DriverCache>> = live.iter().filter_map(Weak::upgrade).collect();
    drop(live);
    all.iter().for_each(|c| c.save());
    // Devices are not taken down while the process goes down.
    std::mem::forget(all);
}

/// Where a device's pipelines are kept; None where its backend keeps none.
fn file(device: &wgpu::Device, folder: &Folder) -> Option<DeviceFile> {
    let info = device.adapter_info();
    let adapter = wgpu::util::pipeline_cache_key(&info)?;
    Some(DeviceFile::of_adapter("pipelines", &adapter, &info, "", folder))
}

#[cfg(test)]
mod tests {
    use super::super::adapters::{Choice, find};
    use super::super::pipelines::Pipelines;
    use super::*;
    use crate::kept::Ledger;

    const TEXT: &str = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) { if id.x < arrayLength(&y) { y[id.x] = 2.5; } }";

    fn device() -> Option<wgpu::Device> {
        let adapter = find(Choice::Any).unwrap().adapter;
        let required_features = adapter.features() & wgpu::Features::PIPELINE_CACHE;
        let desc = wgpu::DeviceDescriptor { required_features, ..Default::default() };
        let (device, _) = pollster::block_on(adapter.request_device(&desc)).unwrap();
        // Other backends have no such cache.
        (!required_features.is_empty()).then_some(device)
    }

    fn opened(device: &wgpu::Device, folder: &Folder) -> Arc<DriverCache> {
        DriverCache::of([device].into_iter(), folder).pop().flatten().unwrap()
    }

    fn compile(device: &wgpu::Device, cache: Arc<DriverCache>) {
        let pipelines = Pipelines::new(false, Ledger::default(), Some(cache));
        pipelines.get(device, "test", TEXT, true).unwrap();
    }

    fn files(folder: &Folder) -> Vec<PathBuf> {
        std::fs::read_dir(folder.path()).map_or(Vec::new(), |all| all.map(|e| e.unwrap().path()).collect())
    }

    /// What one device leaves the next one takes, unless somebody has changed it; then it is replaced.
    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn what_one_device_leaves_the_next_one_takes() {
        let Some(device) = device() else { return };
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().join("cache"));
        let held = |cache: &DriverCache| *cache.held.lock().unwrap();

        // Nothing is written where nothing was compiled.
        assert_eq!(held(&opened(&device, &folder)), None);
        assert!(files(&folder).is_empty());

        compile(&device, opened(&device, &folder));
        let [file] = &files(&folder)[..] else { panic!("{:?}", files(&folder)) };
        let next = opened(&device, &folder);
        assert!(held(&next).is_some(), "the next device has not read the file");
        compile(&device, next);
        assert!(held(&opened(&device, &folder)).is_some());

        let mut changed = std::fs::read(file).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(file, &changed).unwrap();
        let next = opened(&device, &folder);
        assert_eq!(held(&next), None, "a file that was changed was read");
        compile(&device, next);
        assert_ne!(std::fs::read(file).unwrap(), changed);
        assert!(held(&opened(&device, &folder)).is_some(), "it was not replaced");
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn of_several_devices_of_an_adapter_one_writes() {
        let (Some(a), Some(b)) = (device(), device()) else { return };
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_path_buf());
        let both: Vec<_> = DriverCache::of([&a, &b].into_iter(), &folder).into_iter().flatten().collect();
        assert_eq!(both.iter().map(|c| c.file.is_some()).collect::<Vec<_>>(), [true, false]);
        compile(&b, both[1].clone());
        drop(both);
        assert!(files(&folder).is_empty());
    }
}
