//! Dispatches as data: kernel text, parameters, what is bound where.

use super::windows::Window;
use crate::access::{Constant, ValueId};
use std::sync::Arc;

/// What a kernel binds.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A value of the plan.
    Value(ValueId),
    /// A constant of the program.
    Constant(Constant),
    /// A table of u32: indices, list starts, records of points.
    List(List),
    /// A short table of f32 pairs: twiddles.
    Table(Arc<Vec<[f32; 2]>>),
}

/// A table of u32 that is made when it is brought to a device. Two are equal when they are the same part of the same thing.
#[derive(Clone)]
pub struct List {
    key: ListKey,
    len: usize,
    make: Arc<dyn Fn() -> Arc<Vec<u32>> + Send + Sync>,
}

/// What tells lists apart: the address of the thing that they are of (which they keep alive), which of its lists, which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListKey {
    of: usize,
    what: &'static str,
    part: (usize, usize),
}

impl List {
    /// A list that is there.
    pub fn shared(list: &Arc<Vec<u32>>) -> List {
        let (own, len) = (list.clone(), list.len());
        let key = ListKey { of: Arc::as_ptr(list) as usize, what: "list", part: (0, len) };
        List { key, len, make: Arc::new(move || own.clone()) }
    }

    /// A list of `len` words that `make` makes, of a part of the thing at an address; `make` keeps the thing alive.
    pub fn made(
        of: usize,
        what: &'static str,
        part: (usize, usize),
        len: usize,
        make: impl Fn() -> Vec<u32> + Send + Sync + 'static,
    ) -> List {
        List { key: ListKey { of, what, part }, len, make: Arc::new(move || Arc::new(make())) }
    }

    /// What tells it from others.
    pub fn key(&self) -> ListKey {
        self.key
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words, made now.
    pub fn words(&self) -> Arc<Vec<u32>> {
        let words = (self.make)();
        debug_assert_eq!(words.len(), self.len, "{:?}", self.key);
        words
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.key == other.key
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} words", self.key.what, self.len)
    }
}

/// A bound stretch of an operand, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Binding number in group 0.
    pub number: u32,
    /// What is bound.
    pub operand: Operand,
    /// First byte, a multiple of 256.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl Binding {
    pub(crate) fn of(number: u32, operand: Operand, element: u64, w: Window) -> Binding {
        Binding { number, operand, offset: w.first * element, bytes: w.len * element }
    }
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The kernel's family, for labels.
    pub name: String,
    /// The WGSL; equal texts are the same pipeline.
    pub text: String,
    /// Contents of the uniform at binding 2.
    pub params: Vec<u32>,
    /// Contents of the uniform at binding 0, for transforms.
    pub fft_params: Option<Vec<u32>>,
    /// Everything else that is bound.
    pub bindings: Vec<Binding>,
    /// Number of workgroups, before folding.
    pub groups: u64,
    /// For a kernel of a user's own, its workgroups along x, y, z: it is not trusted, and has no parameters.
    pub own: Option<[u32; 3]>,
}
