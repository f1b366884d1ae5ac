//! Constants, lists and tables on the device: one copy for all plans that bind them, gone with the last of these.

use super::buffer::Block;
use super::core::Core;
use crate::access::{Constant, ConstantData, ConstantKey};
use crate::error::{Error, Result};
use crate::kept::{Booking, Ledger, Shared};
use crate::shader::{ListKey, Operand};
use std::sync::Arc;

/// All of a device, found by what they are copies of.
#[derive(Debug, Default)]
pub(super) struct Records(Shared<Key, Record>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Constant(ConstantKey),
    List(ListKey),
    /// The bits of a short table: equal ones are the same.
    Table(Vec<[u32; 2]>),
}

/// A copy. It keeps what it is a copy of, so that no key is of something that is gone.
#[derive(Debug)]
pub(super) struct Record {
    pub block: Block,
    _of: Operand,
    _bytes: Booking,
}

impl Records {
    /// The device's copy of a constant, list or table.
    ///
    /// # Errors
    /// There is no memory for it, or it is a value, which has no record.
    pub fn of(&self, core: &Arc<Core>, operand: &Operand, ledger: &Ledger) -> Result<Arc<Record>> {
        let key = match operand {
            Operand::Value(v) => return Err(Error::Device(format!("the value {v} of a plan is no record"))),
            Operand::Constant(c) => Key::Constant(c.key().clone()),
            Operand::List(l) => Key::List(l.key()),
            Operand::Table(t) => Key::Table(t.iter().map(|x| x.map(f32::to_bits)).collect()),
        };
        if let Some(there) = self.0.get(&key) {
            return Ok(there);
        }
        let bytes = match operand {
            Operand::Constant(c) => c.bytes(),
            other => other.table_bytes(),
        };
        let block = core.alloc(bytes)?;
        match operand {
            Operand::Constant(c) => upload(core, &block, c)?,
            Operand::List(l) => core.write(&block, 0, bytemuck::cast_slice(&l.words()))?,
            Operand::Table(t) => core.write(&block, 0, bytemuck::cast_slice(t))?,
            Operand::Value(_) => {}
        }
        let booking = ledger.book(block.bytes());
        Ok(self.0.put(key, Arc::new(Record { block, _of: operand.clone(), _bytes: booking })))
    }
}

fn upload(core: &Core, block: &Block, constant: &Constant) -> Result<()> {
    let mut at = 0;
    constant.ready()?;
    for part in constant.parts() {
        match part.data() {
            ConstantData::F32(v) => core.write(block, at, bytemuck::cast_slice(v))?,
            ConstantData::C32(v) => core.write(block, at, bytemuck::cast_slice(v))?,
            ConstantData::Stacked(_) => {}
        }
        at += part.bytes();
    }
    Ok(())
}
