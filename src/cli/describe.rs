//! `linops describe`: what an op of linop files computes, its fields, an example.

use super::DONE;
use super::printer::Printer;
use linops::Result;
use linops::io::{COMMON_FIELDS, FieldDefault, FileField, FileOp};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// The op, as in "fft"; linops list has all of them
    op: String,

    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Columns of text.
const WIDTH: usize = 100;

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let op = FileOp::named(&args.op)?;
    printer.line(format_args!("{}: {}\n", op.name, plain(op.summary)));
    paragraph(printer, 2, op.forward);
    if !op.fields.is_empty() {
        printer.line("\nfields");
        table(printer, op.fields);
    }
    printer.line("\nfields of every op");
    let common: Vec<FileField> =
        COMMON_FIELDS.iter().filter(|c| op.fields.iter().all(|f| f.name != c.name)).copied().collect();
    table(printer, &common);
    for example in op.examples {
        printer.line("\nexample");
        example.lines().for_each(|line| printer.line(format_args!("  {line}")));
    }
    printer.json(&value(op));
    Ok(DONE)
}

/// A row for each field: its name, its value, its default, and below what it means.
fn table(printer: &Printer, fields: &[FileField]) {
    let widest = |text: &dyn Fn(&FileField) -> usize| fields.iter().map(text).max().unwrap_or(0);
    let (name, kind) = (widest(&|f| f.name.len()), widest(&|f| f.kind.chars().count()));
    for f in fields {
        let default = match f.default {
            FieldDefault::Needed => "needed".into(),
            FieldDefault::Value(text) => format!("default {text}"),
            FieldDefault::Words(text) => format!("without: {}", plain(text)),
            // The command line knows all of them.
            _ => String::new(),
        };
        printer.line(format_args!("  {:<name$}  {:<kind$}  {default}", f.name, f.kind));
        paragraph(printer, 4 + name, f.meaning);
    }
}

/// Text in lines that are not too long.
fn paragraph(printer: &Printer, indent: usize, text: &str) {
    let mut line = String::new();
    for word in plain(text).split_whitespace() {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            printer.line(format_args!("{:indent$}{line}", ""));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    printer.line(format_args!("{:indent$}{line}", ""));
}

/// Without the marks of Markdown.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn value(op: &FileOp) -> Value {
    let json_of = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let field = |f: &FileField| {
        let (default, without) = match f.default {
            FieldDefault::Value(text) => (json_of(text), Value::Null),
            FieldDefault::Words(text) => (Value::Null, text.into()),
            _ => (Value::Null, Value::Null),
        };
        let needed = f.default == FieldDefault::Needed;
        json!({
            "field": f.name, "value": f.kind, "needed": needed, "default": default, "without": without, "meaning": f.meaning,
        })
    };
    json!({
        "op": op.name,
        "summary": op.summary,
        "forward": op.forward,
        "fields": op.all_fields().map(field).collect::<Vec<_>>(),
        "examples": op.examples.iter().map(|e| json_of(e)).collect::<Vec<_>>(),
    })
}
