//! The page on linop files: prose with the tables that the descriptions of ops make.

use super::op::{COMMON_FIELDS, FieldDefault, FileField, FileOp};
use std::fmt::Write;

/// All that there is to say of linop files, as Markdown. It is `docs/linop-files.md` of the repository.
pub fn linop_files_page() -> String {
    let ops = |containers: bool| FileOp::all().iter().filter(move |op| op.is_container() == containers);
    include_str!("page.md")
        .replace("{{common}}", &table(COMMON_FIELDS))
        .replace("{{leaves}}", &ops(false).map(|op| section(op)).collect::<String>())
        .replace("{{containers}}", &ops(true).map(|op| section(op)).collect::<String>())
}

/// What there is to say of an op.
fn section(op: &FileOp) -> String {
    let mut text = format!("### `{}`\n\n{}: {}.\n\n", op.name, op.summary, op.forward);
    if !op.fields.is_empty() {
        text += &table(op.fields);
        text.push('\n');
    }
    for example in op.examples {
        // Writing to a string cannot fail.
        let _ = write!(text, "```json\n{example}\n```\n\n");
    }
    text
}

fn table(fields: &[FileField]) -> String {
    let row = |f: &FileField| {
        let default = match f.default {
            FieldDefault::Needed => "needed".into(),
            FieldDefault::Value(text) => format!("`{text}`"),
            FieldDefault::Words(text) => text.to_string(),
        };
        format!("| `{}` | {} | {default} | {} |\n", f.name, f.kind, f.meaning)
    };
    let rows: String = fields.iter().map(row).collect();
    format!("| field | value | default | meaning |\n|---|---|---|---|\n{rows}")
}
