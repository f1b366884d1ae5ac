//! Just enough XML for an ISMRMRD header: elements and their text.
//!
//! Attributes, comments and processing instructions are skipped, namespace prefixes dropped.

/// An element.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// The schema is six levels deep; more than this is no header.
const MAX_DEPTH: usize = 64;

impl Element {
    /// Parses a document into a nameless element that holds its root.
    pub(super) fn parse(mut text: &str) -> Result<Element, String> {
        // The open elements, from the document down to the innermost.
        let mut open = vec![Element::default()];
        while let Some(start) = text.find('<') {
            let innermost = open.last_mut().ok_or("more closing than opening tags")?;
            innermost.text.push_str(&unescape(&text[..start]));
            text = &text[start..];
            if let Some(rest) = text.strip_prefix("<!--") {
                text = after(rest, "-->")?.1;
            } else if let Some(rest) = text.strip_prefix("<![CDATA[") {
                let (data, rest) = after(rest, "]]>")?;
                innermost.text.push_str(data);
                text = rest;
            } else if let Some(rest) = text.strip_prefix("</") {
                let (name, rest) = after(rest, ">")?;
                let element = open.pop().unwrap_or_default();
                let Some(parent) = open.last_mut().filter(|_| element.name == local(name)) else {
                    return Err(format!("</{}> closes <{}>", name.trim(), element.name));
                };
                parent.children.push(element);
                text = rest;
            } else if text.starts_with("<?") || text.starts_with("<!") {
                text = after(text, ">")?.1;
            } else {
                let (tag, rest) = after(&text[1..], ">")?;
                let element = Element { name: local(tag).to_string(), ..Element::default() };
                if tag.ends_with('/') {
                    innermost.children.push(element);
                } else if open.len() < MAX_DEPTH {
                    open.push(element);
                } else {
                    return Err(format!("elements nested deeper than {MAX_DEPTH}"));
                }
                text = rest;
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(document), true) => Ok(document),
            (unclosed, _) => Err(format!("<{}> is never closed", unclosed.unwrap_or_default().name)),
        }
    }

    /// The first element along a path of names, such as `encodedSpace/matrixSize/x`.
    pub(super) fn find(&self, path: &str) -> Option<&Element> {
        path.split('/').try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    /// How many elements of the last name in `path` its parent holds.
    pub(super) fn count(&self, path: &str) -> usize {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if parent.is_empty() { Some(self) } else { self.find(parent) };
        parent.map_or(0, |p| p.children.iter().filter(|c| c.name == name).count())
    }

    /// The child of this name and number, from 0.
    pub(super) fn nth(&self, name: &str, number: usize) -> Option<&Element> {
        self.children.iter().filter(|child| child.name == name).nth(number)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter()
    }

    /// The trimmed text of the element at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.find(path).map(|element| element.text.trim())
    }
}

/// Splits at the first `end`, which belongs to neither part.
fn after<'a>(text: &'a str, end: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(end).ok_or_else(|| format!("the header ends inside a tag: '{end}' is missing"))
}

/// A tag's name without its prefix and attributes.
fn local(tag: &str) -> &str {
    let name = tag.trim().split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("");
    name.rsplit(':').next().unwrap_or(name)
}

fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_string();
    }
    // The ampersand last, or `&amp;lt;` would be taken twice.
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_text_by_path() {
        let text = "<?xml version='1.0'?><!-- <a> --><h:head xmlns:h='x'><a><b> 1 </b><b>2</b></a>\
                    <c/><d e=\"f\">&lt;&amp;<![CDATA[<g>]]></d></h:head>";
        let head = Element::parse(text).unwrap();
        assert_eq!(head.text("head/a/b"), Some("1"));
        assert_eq!(head.count("head/a/b"), 2);
        assert_eq!(head.text("head/c"), Some(""));
        assert_eq!(head.text("head/d"), Some("<&<g>"));
        assert_eq!(head.text("head/x/b"), None);
    }

    #[test]
    fn damage_is_an_error() {
        let error = |text: &str| Element::parse(text).unwrap_err();
        assert!(error("<a><b></a>").contains("closes"));
        assert!(error("<a><b>").contains("never closed"));
        assert!(error("</a>").contains("closes"));
        assert!(error("<a").contains("ends inside"));
        assert!(error(&"<a>".repeat(1000)).contains("nested"));
    }
}
