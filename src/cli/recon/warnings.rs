//! What looks wrong, though it can be computed.

use crate::cli::printer::complain;
use serde_json::{Value, json};
use std::cell::RefCell;

/// Warnings: each on stderr at once, all of them under `warnings` of the JSON.
#[derive(Default)]
pub struct Warnings(RefCell<Vec<String>>);

impl Warnings {
    pub fn say(&self, text: String) {
        complain(&format!("warning: {text}"));
        self.0.borrow_mut().push(text);
    }

    pub fn list(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub fn json(&self) -> Value {
        json!(*self.0.borrow())
    }
}
