//! JSON for people and programs: objects a line for each entry, lists of plain values on one line.

use serde_json::Value;
use std::fmt;

/// Displays a value so.
pub struct Pretty<'a>(pub &'a Value);

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write(f, self.0, 0)
    }
}

fn write(f: &mut fmt::Formatter, value: &Value, depth: usize) -> fmt::Result {
    match value {
        Value::Array(list) if list.iter().any(|v| v.is_array() || v.is_object()) => {
            block(f, '[', ']', depth, list.iter().map(|v| (None, v)))
        }
        Value::Array(list) => {
            f.write_str("[")?;
            for (i, v) in list.iter().enumerate() {
                write!(f, "{}{v}", if i > 0 { ", " } else { "" })?;
            }
            f.write_str("]")
        }
        Value::Object(map) if !map.is_empty() => block(f, '{', '}', depth, map.iter().map(|(k, v)| (Some(k), v))),
        other => write!(f, "{other}"),
    }
}

fn block<'a>(
    f: &mut fmt::Formatter,
    open: char,
    close: char,
    depth: usize,
    entries: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
) -> fmt::Result {
    write!(f, "{open}")?;
    for (i, (key, value)) in entries.enumerate() {
        write!(f, "{}\n{:indent$}", if i > 0 { "," } else { "" }, "", indent = 2 * (depth + 1))?;
        if let Some(key) = key {
            write!(f, "{}: ", Value::from(key.as_str()))?;
        }
        write(f, value, depth + 1)?;
    }
    write!(f, "\n{:indent$}{close}", "", indent = 2 * depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pairs_take_a_line() {
        let value = json!({ "a \"b\"": [[1, 0.5], [2, 0.25]], "c": [], "d": {}, "e": ["x", null], "f": [{ "g": 1 }] });
        let text = Pretty(&value).to_string();
        let want = "{\n  \"a \\\"b\\\"\": [\n    [1, 0.5],\n    [2, 0.25]\n  ],\n  \"c\": [],\n  \"d\": {},\n  \"e\": [\"x\", null],\n  \
                    \"f\": [\n    {\n      \"g\": 1\n    }\n  ]\n}";
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
