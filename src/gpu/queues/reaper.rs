//! Owners of shared memory that the last lane has let go of, dropped where no lock of wgpu is held.

use std::sync::Mutex;

/// wgpu tells that an alias is gone from inside of its own bookkeeping, with a lock held; dropping the owner there would enter
/// wgpu again. So it is put here, and [`reap`](Reaper::reap) is called between two calls.
#[derive(Debug, Default)]
pub(super) struct Reaper(Mutex<Vec<wgpu::Buffer>>);

impl Reaper {
    pub fn put(&self, owner: wgpu::Buffer) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(owner);
    }

    pub fn reap(&self) {
        let done = std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner()));
        // The lock is open again: an owner's end may be the end of another alias.
        drop(done);
    }
}
