//! What was measured to be faster on a device, kept on disk: a file for each adapter, driver, limits and version of this crate.
//! It is read when a device is opened.

use super::device_file::DeviceFile;
use super::driver_cache;
use super::queues::MeasuredQueues;
use crate::kept::Folder;
use crate::shader::{Choices, GpuLimits};
use std::io;
use std::path::Path;

/// Which lists of candidates places are of: one more whenever one of them changes within a version of this crate.
const CANDIDATES: &str = "candidates 3";

/// Where the choices of one device are kept.
#[derive(Clone, Debug)]
pub(crate) struct TunedFile(DeviceFile);

impl TunedFile {
    /// That of an adapter with these limits: others have other candidates.
    pub fn of(info: &wgpu::AdapterInfo, limits: &GpuLimits, folder: &Folder) -> TunedFile {
        let limits = GpuLimits { choices: None, ..*limits };
        TunedFile(DeviceFile::of("tuned", info, &format!("{limits:?}\n{CANDIDATES}"), folder))
    }

    /// The choices that were written, if there are any.
    pub fn read(&self) -> Option<&'static Choices> {
        let kept = self.0.read()?;
        let choices = Choices::of_text(std::str::from_utf8(kept.bytes()).ok()?)?;
        (!choices.is_empty()).then(|| choices.kept())
    }

    /// Replaces the choices; without any nothing is chosen.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, choices: &Choices) -> io::Result<()> {
        self.0.write(choices.to_text().as_bytes())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }
}

/// Where it is kept how many queues of an adapter are worth it. That is asked before a device is opened, so it is by adapter and
/// driver alone.
#[derive(Clone, Debug)]
pub(crate) struct QueuesFile(DeviceFile);

/// What was measured of an adapter's queues, if it is kept; as [`folder`](driver_cache::folder) takes what was asked for.
pub(super) fn measured(info: &wgpu::AdapterInfo, asked: Option<bool>) -> Option<MeasuredQueues> {
    QueuesFile::of(info, &driver_cache::folder(asked)?).read()
}

impl QueuesFile {
    /// That of an adapter.
    pub fn of(info: &wgpu::AdapterInfo, folder: &Folder) -> QueuesFile {
        QueuesFile(DeviceFile::of("queues", info, "queues", folder))
    }

    /// What was written, if anything was.
    pub fn read(&self) -> Option<MeasuredQueues> {
        let kept = self.0.read()?;
        let (queues, least_work) = std::str::from_utf8(kept.bytes()).ok()?.trim_end().split_once(' ')?;
        Some(MeasuredQueues { queues: queues.parse().ok()?, least_work: least_work.parse().ok()? })
    }

    /// Replaces it; None: nothing was measured.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, measured: Option<MeasuredQueues>) -> io::Result<()> {
        let text = measured.map_or(String::new(), |m| format!("{} {}\n", m.queues, m.least_work));
        self.0.write(text.as_bytes())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }
}

#[cfg(test)]
mod tests {
    use super::super::adapters::{Choice, find};
    use super::*;
    use crate::shader::KernelShape;

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn choices_are_those_of_their_device_and_limits() {
        let info = find(Choice::Any).unwrap().adapter.get_info();
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_path_buf());
        let (limits, others) = (GpuLimits::rich(), GpuLimits::poorest(KernelShape::Gpu));
        let file = TunedFile::of(&info, &limits, &folder);
        assert_eq!(file.read(), None);
        let choices = Choices::one("fft tile 512 strided", 2);
        file.write(&choices).unwrap();
        let read = TunedFile::of(&info, &limits, &folder).read();
        assert_eq!(read, Some(&choices));
        // What is chosen is no part of what a device is.
        assert_eq!(TunedFile::of(&info, &GpuLimits { choices: read, ..limits }, &folder).read(), Some(&choices));
        assert_eq!(TunedFile::of(&info, &others, &folder).read(), None);
        file.write(&Choices::default()).unwrap();
        assert_eq!(file.read(), None);
    }

    #[test]
    #[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
    fn queues_are_kept_by_adapter() {
        let info = find(Choice::Any).unwrap().adapter.get_info();
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::at(temporary.path().to_path_buf());
        let file = QueuesFile::of(&info, &folder);
        assert_eq!(file.read(), None);
        let measured = MeasuredQueues { queues: 2, least_work: 1 << 40 };
        file.write(Some(measured)).unwrap();
        assert_eq!(QueuesFile::of(&info, &folder).read(), Some(measured));
        let other = wgpu::AdapterInfo { driver_info: "another one".into(), ..info };
        assert_eq!(QueuesFile::of(&other, &folder).read(), None);
        file.write(None).unwrap();
        assert_eq!(file.read(), None);
    }
}
