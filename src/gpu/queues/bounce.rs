//! Rung 3: the values of a buffer on another device, through the host.

use super::Lanes;
use super::submit::Used;
use crate::error::{Error, Result};

impl Lanes {
    /// Brings a lane's copy of a buffer up to date, with the buffer's state locked by the caller.
    pub(super) fn bring(&self, at: usize, used: &mut Used) -> Result<()> {
        let Some(&from) = used.last.current.first() else { return Ok(()) };
        if used.last.current.contains(&at) {
            return Ok(());
        }
        let bytes = usize::try_from(used.buffer.used()).map_err(|e| Error::OutOfMemory(e.to_string()))?;
        let values: Vec<u8> = self.get(from, used.buffer.on(from), bytes)?;
        self.put(at, used.buffer.on(at), 0, &values)?;
        used.last.current.push(at);
        Ok(())
    }
}
