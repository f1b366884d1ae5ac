//! `linops list`: the ops that a linop file can name.

use super::DONE;
use super::printer::Printer;
use linops::Result;
use linops::io::{FileOp, linop_files_page};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,

    /// Print all that there is to say of linop files, as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    if args.markdown {
        printer.line(linop_files_page().trim_end());
        return Ok(DONE);
    }
    let width = FileOp::all().iter().map(|op| op.name.len()).max().unwrap_or(0);
    for op in FileOp::all() {
        printer.line(format_args!("{:<width$}  {}", op.name, op.summary.replace('`', "")));
    }
    printer.line("\nlinops describe OP tells the fields of one, with an example");
    let ops = FileOp::all().iter().map(|op| json!({ "op": op.name, "summary": op.summary }));
    printer.json(&ops.collect::<Value>());
    Ok(DONE)
}
