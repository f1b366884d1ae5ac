//! Linops as a tree.

use super::Linop;
use std::fmt;

impl fmt::Display for Linop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tree(f, self, "", "")
    }
}

impl fmt::Debug for Linop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_tree(f: &mut fmt::Formatter<'_>, l: &Linop, first: &str, rest: &str) -> fmt::Result {
    let node = match l.node() {
        Ok(n) => n,
        Err(e) => return write!(f, "{first}error: {e}"),
    };
    let details = node.operator.details();
    write!(f, "{first}{}", node.operator.op())?;
    if let Some(name) = &node.name {
        write!(f, " \"{name}\"")?;
    }
    if !details.is_empty() {
        write!(f, " ({details})")?;
    }
    write!(f, ": {} -> {}", node.input, node.output)?;
    let children = node.operator.children();
    for (i, c) in children.iter().enumerate() {
        writeln!(f)?;
        let last = i + 1 == children.len();
        let (branch, below) = if last { ("└ ", "  ") } else { ("├ ", "│ ") };
        write_tree(f, c, &format!("{rest}{branch}"), &format!("{rest}{below}"))?;
    }
    Ok(())
}
