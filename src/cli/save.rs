//! `linops save`: a linop file written anew, in one place with its arrays.

use super::DONE;
use super::printer::{Printer, count_of};
use linops::Result;
use linops::io::{LinopFile, SaveOptions};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// Where it goes: a file (.json), or else a folder, which is made
    #[arg(long, short, value_name = "FOLDER_OR_FILE")]
    output: PathBuf,

    /// Put the arrays into the file itself, instead of into .npy files beside it
    #[arg(long)]
    embed: bool,

    /// Replace existing files
    #[arg(long)]
    force: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let file = LinopFile::read(&args.file)?;
    let files = file.save(&args.output, SaveOptions::default().embed(args.embed).force(args.force))?;
    let linop = &file.linop;
    printer.line(format_args!("{}: {} -> {}", linop.label(), linop.input()?, linop.output()?));
    let arrays = files.len() - 1;
    let beside = if arrays > 0 { format!(" and {}", count_of(arrays, "array")) } else { String::new() };
    printer.field("wrote", format_args!("{}{beside}", files[0].display()));
    printer.json(&json!({
        "input": linop.input()?.to_string(),
        "output": linop.output()?.to_string(),
        "files": files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>(),
    }));
    Ok(DONE)
}
