//! What is made when it is first asked for and kept: the rules for all of it.
//!
//! - **Made outside of locks.** Nothing parallel may run while a once-cell or a mutex is held: a thread of rayon's pool that
//!   waits takes up other work, which may ask for the same thing and would then wait for itself. So things are made outside
//!   and then put in; two threads may make one at once, and the first one's is kept ([`Made`], [`Store`], [`Shared`]).
//! - **Bytes are told by the things.** What is kept holds a [`Booking`] of its bytes in its device's [`Ledger`] as long as it
//!   lives, whoever else has a handle to it.
//! - **One owner for each device.** Its [`Store`] gives up what was used longest ago while its ledger is over the budget; what
//!   several plans share ([`Shared`]) is gone with the last of them, and all of it with the device.
//! - **Between processes** files keep what a driver compiled (`disk.rs`): whole, with a hash, this user's own, or as good as none.

#[cfg(feature = "gpu")]
mod disk;
mod ledger;
mod made;
mod shared;
mod store;

#[cfg(feature = "gpu")]
pub(crate) use disk::{Folder, Kept, fnv};
pub(crate) use ledger::{Booking, Ledger};
pub(crate) use made::Made;
pub(crate) use shared::Shared;
pub(crate) use store::{Spares, Store};

#[cfg(test)]
mod tests;
