//! JSON in which no key stands twice: of two, `serde_json` would silently take the last.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads one value; errors say where.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Strict { path: String::new() }.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A value at a place.
struct Strict {
    path: String,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { path: format!("{}[{}]", self.path, list.len()) })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{key}", self.path);
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{path} stands twice")));
            }
            map.insert(key, entries.next_value_seed(Strict { path })?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            "[true, -1, 2, 18446744073709551615, 1.5e300, \"a\\u00e9\\n\", [], {}]",
            "{\"b\": {\"a\": [1, {\"a\": 2}]}, \"a\": null}",
        ] {
            assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
        for text in ["", "{", "[1,]", "{\"a\" 1}", "1 2", "1e400", "\"\\x\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_twice_is_an_error_with_its_place() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert!(error("{\"op\": 1, \"in\": 2, \"op\": 1}").starts_with("op stands twice at line 1"));
        let deep = error("{\"linops\": [0, {\"to\": {\"Nx\": 1,\n\"Nx\": 2}}]}");
        assert!(deep.starts_with("linops[1].to.Nx stands twice at line 2"), "{deep}");
        // Spelt differently, it is the same.
        assert!(error("{\"a\": 1, \"\\u0061\": 1}").contains("a stands twice"));
    }
}
