//! Owners of shared memory that a lane has let go of, dropped where no lock of wgpu is held.

use std::sync::Mutex;

/// wgpu tells that an alias is gone from inside of its own bookkeeping, with a lock held; dropping the owner there would enter
/// wgpu again (which panics in debug builds). So it is put here, and [`reap`](Reaper::reap) is called between two calls, after
/// a shared buffer is dropped, and after the lanes are.
#[derive(Debug, Default)]
pub(super) struct Reaper(Mutex<Vec<wgpu::Buffer>>);

impl Reaper {
    // Metal's buffers count their references themselves.
    #[cfg_attr(target_vendor = "apple", allow(dead_code))]
    pub fn put(&self, owner: wgpu::Buffer) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(owner);
    }

    pub fn reap(&self) {
        let done = std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner()));
        // The lock is open again: an owner's end may be the end of another alias.
        drop(done);
    }
}

impl Drop for Reaper {
    /// The last alias was kept longer than the lanes and the buffer that it belongs to, so this runs inside of wgpu.
    fn drop(&mut self) {
        let left = std::mem::take(self.0.get_mut().unwrap_or_else(|e| e.into_inner()));
        if !left.is_empty() {
            // Without a thread to drop them on, they go here and now.
            let _ = std::thread::Builder::new().spawn(move || drop(left));
        }
    }
}
