//! What looks wrong, though it can be computed.

use crate::cli::printer::{complain, short};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Noise that is given as so many times what is found, and more, is worth a word.
const MORE: f64 = 1.25;

/// That the noise of data is given as more than is found in them.
pub fn more_noise_than_found(given: f64, found: f64) -> Option<String> {
    (given >= MORE * found).then(|| {
        format!(
            "the noise is given as {}, and {} is found: what is taken away for more noise than there is are fine structures (of noise \
             that neighbours share less is found than there is)",
            short(given),
            short(found)
        )
    })
}

/// Noise that is given as less than this part of what is found is worth a word.
const LESS: f64 = 0.6;

/// That the noise of data is given as less than is found in them.
pub fn less_noise_than_found(given: f64, found: f64) -> Option<String> {
    (given <= LESS * found).then(|| {
        format!(
            "the noise is given as {}, and {} is found: what is not taken for noise is taken for structure, and comes out stronger than \
             it went in",
            short(given),
            short(found)
        )
    })
}

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
