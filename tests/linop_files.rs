//! Linop files as a format: the page that describes them, and linops written as files and read again.
#![cfg(feature = "io")]

mod common;

use common::data::{complex, real};
use linops::io::{Array, FileOp, Output, linop_files_page, write_npy};
use linops::{Linop, Tensor};
use std::path::Path;

/// Compares a text with a file of the repository, or with `INSTA_UPDATE=always` puts it there.
fn expect_file(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{} is not what the code says; INSTA_UPDATE=always writes it anew", path.display());
}

#[test]
fn the_page_is_what_the_code_says() {
    expect_file("docs/linop-files.md", &linop_files_page());
}

/// The texts between ```json and ```.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn array(folder: &Path, name: &str, tensor: &Tensor) {
    let output = Output::create(folder.join(name), &["npy"], false).unwrap();
    write_npy(output, &Array::C32(tensor.to_array().unwrap())).unwrap();
}

#[test]
fn examples_of_the_page_load_and_apply() {
    let folder = tempfile::tempdir().unwrap();
    array(folder.path(), "maps.npy", &complex("C=2 Ny=230 Nx=180", 1));
    array(folder.path(), "mask.npy", &real("Ky=230 Kx=180", 2));
    let page = linop_files_page();
    let examples = blocks(&page);
    assert!(examples.len() > FileOp::all().len());
    for text in examples {
        let file = folder.path().join("linop.json");
        std::fs::write(&file, text).unwrap();
        let linop = Linop::from_file(&file).unwrap_or_else(|e| panic!("{e}\n{text}"));
        for a in [linop.clone(), linop.h(), linop.n()] {
            let y = a.apply(&complex(a.input().unwrap(), 3)).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(y.shape(), a.output().unwrap());
        }
    }
}
