//! That descriptions of ops say what the loader does.

use super::*;
use crate::tensor::Tensor;
use num_complex::Complex32;
use serde_json::json;
use std::collections::BTreeSet;

/// The linop of a JSON value, and the fields that its ops have asked for.
fn loaded(value: &Value) -> Result<(Linop, BTreeSet<(&'static str, String)>)> {
    let loader = Loader::new(Path::new("nowhere"));
    let linop = loader.linop(value, None, &Place::default())?;
    Ok((linop, loader.asked.into_inner()))
}

fn examples() -> Vec<(&'static FileOp, Value)> {
    let of = |op: &&'static FileOp| {
        let op = *op;
        op.examples.iter().map(move |text| (op, parsed(text).unwrap_or_else(|e| panic!("{}: {e}", op.name))))
    };
    FileOp::all().iter().flat_map(of).collect()
}

/// A x for an x of many different values.
fn applied(linop: &Linop) -> Vec<Complex32> {
    let shape = linop.input().unwrap();
    let value = |i: usize| Complex32::new((i * 7 % 11) as f32 - 4.5, (i * 5 % 13) as f32 * 0.25);
    let x = Tensor::of_values(shape.clone(), (0..shape.len()).map(value).collect()).unwrap();
    linop.apply(&x).unwrap().to_array().unwrap().into_iter().collect()
}

#[test]
fn every_op_says_what_it_is() {
    let mut names = BTreeSet::new();
    for op in FileOp::all() {
        assert!(names.insert(op.name), "{} stands twice in the table", op.name);
        assert!(!op.examples.is_empty(), "{} has no example", op.name);
        assert!((5..80).contains(&op.summary.chars().count()), "the summary of {} is no line", op.name);
        let texts = [op.summary, op.forward].into_iter().chain(op.fields.iter().map(|f| f.meaning));
        for text in texts {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n'), "{}: \"{text}\"", op.name);
        }
        let mut fields = BTreeSet::new();
        for field in op.fields {
            assert!(fields.insert(field.name), "{} describes {} twice", op.name, field.name);
            // A letter of the formula alone says nothing.
            assert!(field.meaning.split(' ').count() > 1, "{}.{} is only \"{}\"", op.name, field.name, field.meaning);
            if let FieldDefault::Value(text) = field.default {
                assert!(parsed(text).is_ok(), "{}.{}: {text} is not JSON", op.name, field.name);
            }
        }
    }
}

/// A field that is described but not read is none, or no example leads to where it is read. One that is read but not
/// described is refused by the loader in any file.
#[test]
fn every_field_that_is_described_is_read() {
    let mut asked = BTreeSet::new();
    for (op, example) in examples() {
        assert_eq!(example["op"], op.name, "{example}");
        asked.extend(loaded(&example).unwrap_or_else(|e| panic!("{}: {e}", op.name)).1);
    }
    for op in FileOp::all() {
        for field in op.all_fields().filter(|f| f.name != "op") {
            let read = asked.contains(&(op.name, field.name.to_string()));
            assert!(read, "no example of {} leads to where its field {} is read", op.name, field.name);
        }
    }
}

#[test]
fn a_needed_field_cannot_be_left_out() {
    for (op, example) in examples() {
        for field in op.fields {
            let mut without = example.clone();
            if without.as_object_mut().unwrap().remove(field.name).is_none() {
                assert_ne!(field.default, FieldDefault::Needed, "{}: an example lacks {}", op.name, field.name);
                continue;
            }
            let said = loaded(&without).map(|_| ()).map_err(|e| e.to_string());
            if field.default == FieldDefault::Needed {
                let start = format!("{}: is missing; expected ", field.name);
                assert!(said.as_ref().is_err_and(|e| e.starts_with(&start)), "{}: {said:?}", op.name);
            } else if matches!(field.default, FieldDefault::Value(_)) {
                assert!(said.is_ok() || !said.unwrap_err().contains("is missing"), "{}.{}", op.name, field.name);
            }
        }
    }
}

#[test]
fn a_default_given_is_the_default() {
    for (op, example) in examples() {
        let (plain, _) = loaded(&example).unwrap();
        for field in op.fields {
            let FieldDefault::Value(text) = field.default else { continue };
            let mut given = example.clone();
            let map = given.as_object_mut().unwrap();
            // What else says the same is not there at the same time.
            let instead = ["width", "segments"].iter().any(|other| map.contains_key(*other));
            let kernel = map.get("kernel").and_then(Value::as_str);
            let others = match (op.name, field.name) {
                ("interpolate" | "gridding", "beta") => kernel.is_some_and(|k| k != "kaiser_bessel"),
                ("interpolate" | "gridding", "order") => kernel != Some("spline"),
                _ => false,
            };
            if map.contains_key(field.name) || others || field.name == "tol" && instead {
                continue;
            }
            map.insert(field.name.into(), parsed(text).unwrap());
            let (linop, _) = loaded(&given).unwrap_or_else(|e| panic!("{}: {e}", op.name));
            assert_eq!(linop.to_string(), plain.to_string(), "{}.{}", op.name, field.name);
            assert_eq!(applied(&linop), applied(&plain), "{}.{}", op.name, field.name);
        }
    }
}

#[test]
fn a_slip_finds_its_field() {
    let told = |value: Value| loaded(&value).unwrap_err().to_string();
    let text = told(json!({ "op": "fft", "in": "N=4", "axis": ["N"] }));
    let known = "there are axes, centered, norm, inverse, op, in, out, name";
    assert_eq!(text, format!("axis: is not a field of fft, perhaps \"axes\"; {known}"));
    let text = told(json!({ "op": "chain", "in": "N=4", "linops": [{ "op": "fft", "axes": ["N"], "Centred": true }] }));
    assert_eq!(text, format!("linops[0].Centred: is not a field of fft, perhaps \"centered\"; {known}"));
    let text = told(json!({ "op": "flip", "in": "N=4", "axes": ["N"], "colour": 1 }));
    assert_eq!(text, "colour: is not a field of flip; there are axes, op, in, out, name");
    assert!(told(json!({ "op": "flip", "in": "N=4", "axes": ["N"], "x".repeat(1 << 20): 1 })).len() < 200);
}

#[test]
fn arrays_stand_in_files_too() {
    let file = |weight: Value| json!({ "op": "diagonal", "weight": weight, "dims": "A B" });
    let values = |weight: Value| applied(&loaded(&file(weight)).unwrap().0);
    let whole = values(json!([[1, 2], [3, 4]]));
    assert_eq!(whole, values(json!([[1.0, 2], [3, 4e0]])));
    for dtype in ["f4", "f8", "c8", "c16", "i8", "u1"] {
        assert_eq!(whole, values(json!({ "dtype": dtype, "shape": [2, 2], "data": [1, 2, 3, 4] })), "{dtype}");
    }
    let told = |weight: Value| loaded(&file(weight)).unwrap_err().to_string();
    for (weight, part) in [
        (json!([]), "weight: holds an empty list"),
        (json!([[1, 2], [3]]), "lists of 2 and of 1 values"),
        (json!([[1, 2], 3]), "holds a number where a list was expected"),
        (json!([[1, [2]], [3, 4]]), "holds a list where a number was expected"),
        (json!([["a"]]), "holds text"),
        (json!([1, 2]), "the array has 1 axes [2]; expected 2, \"A B\""),
        (json!(1), "is 1; expected the path of an array file, a list"),
        (json!({ "shape": [2, 2], "data": [1, 2, 3, 4] }), "has 2 fields; expected \"dtype\""),
        (json!({ "dtype": "f2", "shape": [2, 2], "data": [1, 2, 3, 4] }), "the dtype \"f2\""),
        (json!({ "dtype": "f4", "shape": [2, 0], "data": [] }), "extents from 1 on"),
        (json!({ "dtype": "f4", "shape": [2, 3], "data": [1, 2, 3, 4] }), "has 4 values for the shape [2, 3]"),
        (json!({ "dtype": "f4", "shape": [1u64 << 40, 1u64 << 40], "data": [1] }), "has 1 values"),
        (json!({ "dtype": "f4", "shape": [1, 1], "data": [1e39] }), "more than float32 can"),
        (json!({ "dtype": "u1", "shape": [1, 1], "data": [256] }), "256 is no integer from 0 to 255"),
        (json!({ "dtype": "i8", "shape": [1, 1], "data": [0.5] }), "no integer"),
        (json!({ "dtype": "c8", "shape": [1, 1], "data": [[1, 2, 3]] }), "a number or [re, im]"),
    ] {
        let text = told(weight);
        assert!(text.contains(part), "expected \"{part}\" in: {text}");
    }
}
