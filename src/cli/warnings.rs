//! What looks wrong, though it can be computed.

use crate::cli::printer::complain;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Warnings: each on stderr at once, all of them under `warnings` of the JSON.
#[derive(Default)]
pub struct Warnings {
    said: RefCell<Vec<String>>,
    /// Whether one of them is why an image would not explain its data.
    explained: Cell<bool>,
}

impl Warnings {
    pub fn say(&self, text: String) {
        // Of several images, once.
        if self.said.borrow().contains(&text) {
            return;
        }
        complain(&format!("warning: {text}"));
        self.said.borrow_mut().push(text);
    }

    /// The same of what makes an image that does not explain its data, of which nothing else needs to be said then.
    pub fn say_cause(&self, text: String) {
        self.explained.set(true);
        self.say(text);
    }

    /// What comes is about another image.
    pub fn next_image(&self) {
        self.explained.set(false);
    }

    pub fn has_cause(&self) -> bool {
        self.explained.get()
    }

    pub fn json(&self) -> Value {
        json!(*self.said.borrow())
    }
}
