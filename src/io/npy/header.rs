//! The header of an `.npy` file: a Python dict in text, with the element type, the order and the shape.
//!
//! ```text
//! {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//! ```
//!
//! Format: NumPy Enhancement Proposal 1 and `numpy/lib/format.py`. What NumPy writes for plain arrays is read, in one pass and
//! without recursion; lists and dicts inside, which describe records, are not.

use std::io::Read;

/// A header is some 100 bytes; NumPy itself refuses headers above 10 000.
const LONGEST: usize = 10_000;
const MAGIC: &[u8] = b"\x93NUMPY";
/// The data begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// What stands before the data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The element type: `<f4`.
    pub descr: String,
    /// Whether the first axis is the fastest.
    pub fortran: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the header of a file of `length` bytes; gives its own length, magic and padding included.
    pub(super) fn read(file: &mut impl Read, length: u64) -> Result<(Header, usize), String> {
        const TRUNCATED: &str = "truncated: the file ends inside the .npy header";
        let mut start = vec![0; length.min(12) as usize];
        file.read_exact(&mut start).map_err(|e| e.to_string())?;
        if !start.starts_with(MAGIC) {
            return Err("not an .npy file: it does not start with \\x93NUMPY; save it with numpy.save".into());
        }
        let (prefix, body) = match start[MAGIC.len()..] {
            [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]) as usize),
            [2 | 3, _, a, b, c, d] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            [version, ..] if version == 0 || version > 3 => {
                return Err(format!("is .npy format version {version}; versions 1 to 3 are supported"));
            }
            _ => return Err(TRUNCATED.into()),
        };
        if body > LONGEST {
            return Err(format!(
                "the .npy header has {body} bytes, the limit is {LONGEST}; save plain arrays, not records"
            ));
        }
        let total = prefix + body;
        if total as u64 > length || total < start.len() {
            return Err(TRUNCATED.into());
        }
        let have = start.len();
        start.resize(total, 0);
        file.read_exact(&mut start[have..]).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(&start[prefix..]).map_err(|_| "damaged .npy header: it is no text")?;
        let header = Parser { text, at: 0 }.header().map_err(|e| match e {
            Fault::Records => format!("unsupported element type (records); supported are {}", super::SUPPORTED),
            Fault::TooLarge => "its shape is too large to address".into(),
            Fault::Expected(what, at) => format!("damaged .npy header: expected {what} at byte {at}"),
        })?;
        Ok((header, total))
    }

    /// Magic, header and padding, as NumPy writes them.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut shape: String = self.shape.iter().map(|n| format!("{n}, ")).collect();
        // A tuple of one keeps its comma.
        shape.truncate(shape.len().saturating_sub(if self.shape.len() == 1 { 1 } else { 2 }));
        let order = if self.fortran { "True" } else { "False" };
        let text = format!("{{'descr': '{}', 'fortran_order': {order}, 'shape': ({shape}), }}", self.descr);
        // Only a shape of thousands of axes needs the longer form.
        let padded = |prefix: usize| (prefix + text.len() + 1).next_multiple_of(ALIGNMENT) - prefix;
        let (version, body) = if padded(10) <= usize::from(u16::MAX) { (1, padded(10)) } else { (2, padded(12)) };
        let mut bytes = [MAGIC, &[version, 0]].concat();
        let length = (body as u32).to_le_bytes();
        bytes.extend(if version == 1 { &length[..2] } else { &length[..] });
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + body - text.len() - 1, b' ');
        bytes.push(b'\n');
        bytes
    }
}

enum Fault {
    /// A list or a dict where a value should be: a structured element type.
    Records,
    /// An extent beyond what a program can count.
    TooLarge,
    /// What was expected at which byte.
    Expected(&'static str, usize),
}

/// Goes through the text once.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, Fault> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.need("{", "{")?;
        while !self.take("}") {
            let before = self.at;
            let key = self.string("a key in quotes")?;
            self.need(":", ":")?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran = Some(self.truth()?),
                "shape" => shape = Some(self.shape()?),
                _ => return Err(Fault::Expected("the key 'descr', 'fortran_order' or 'shape'", before)),
            }
            if !self.take(",") {
                self.need("}", ", or }")?;
                break;
            }
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) if self.rest().is_empty() => Ok(Header { descr, fortran, shape }),
            (Some(_), Some(_), Some(_)) => Err(self.expected("the end")),
            _ => Err(self.expected("the keys 'descr', 'fortran_order' and 'shape' before the end")),
        }
    }

    fn descr(&mut self) -> Result<String, Fault> {
        match self.rest().starts_with(['[', '{', '(']) {
            true => Err(Fault::Records),
            false => self.string("an element type in quotes").map(String::from),
        }
    }

    fn truth(&mut self) -> Result<bool, Fault> {
        match (self.take("True"), self.take("False")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(self.expected("True or False")),
        }
    }

    fn shape(&mut self) -> Result<Vec<usize>, Fault> {
        let mut shape = Vec::new();
        self.need("(", "a shape like (2, 3)")?;
        while !self.take(")") {
            let rest = self.rest();
            let digits = &rest[..rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len()];
            if digits.is_empty() {
                return Err(self.expected("an extent"));
            }
            shape.push(digits.parse().map_err(|_| Fault::TooLarge)?);
            self.at += digits.len();
            // Python 2 wrote long integers as 3L.
            self.take("L");
            if !self.take(",") {
                self.need(")", ", or )")?;
                break;
            }
        }
        Ok(shape)
    }

    /// A string without escapes, which none of the names and types has.
    fn string(&mut self, what: &'static str) -> Result<&'a str, Fault> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| *c == '\'' || *c == '"');
        match quote.and_then(|quote| rest[1..].split_once(quote)) {
            Some((string, _)) if !string.contains('\\') => {
                self.at += string.len() + 2;
                Ok(string)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn need(&mut self, token: &str, what: &'static str) -> Result<(), Fault> {
        if self.take(token) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    /// What is left, behind blanks.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\0']);
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn expected(&self, what: &'static str) -> Fault {
        Fault::Expected(what, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, String> {
        let mut bytes = [MAGIC, &[2, 0]].concat();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut &bytes[..], bytes.len() as u64).map(|(header, _)| header)
    }

    #[test]
    fn reads_what_it_writes() {
        for shape in [vec![], vec![7], vec![2, 3], vec![1; 300], vec![1; 40_000]] {
            let header = Header { descr: "<c8".into(), fortran: shape.len() == 2, shape };
            let bytes = header.to_bytes();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            match Header::read(&mut &bytes[..], bytes.len() as u64) {
                Ok(back) => assert_eq!(back, (header, bytes.len())),
                Err(e) => assert!(header.shape.len() > 3000 && e.contains("limit"), "{e}"),
            }
        }
        // As numpy.save writes it.
        let plain = Header { descr: "<f4".into(), fortran: false, shape: vec![2, 3] }.to_bytes();
        assert!(plain[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   "));
        assert_eq!((plain.len(), plain[127]), (128, b'\n'));
        let one = Header { descr: "<f4".into(), fortran: false, shape: vec![2] }.to_bytes();
        assert!(one[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   "));
    }

    #[test]
    fn reads_other_spellings() {
        let want = Header { descr: ">i2".into(), fortran: true, shape: vec![2, 3] };
        for text in [
            "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }   \n",
            "{\"shape\":(2L,3L,),\"descr\":\">i2\",\"fortran_order\":True}",
            "  {\n'fortran_order' : True , 'shape' : ( 2 , 3 ) , 'descr' : '>i2' , }\0\0\n",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&want), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "expected { at byte 0"),
            ("{'descr': '<f4'}", "expected the keys"),
            ("{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", "expected True or False at byte 34"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (2 3)}", "expected , or )"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (-2,)}", "expected an extent"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (99999999999999999999,)}", "too large"),
            ("{'descr': [('a', '<f4')], 'fortran_order': True, 'shape': ()}", "records"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': ()} more", "expected the end"),
            ("{'descr': '<f4', 'colour': True, 'shape': ()}", "expected the key 'descr'"),
            ("{'descr: <f4", "expected a key in quotes"),
            ("{'de\\'scr': '<f4'}", "expected a key in quotes"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_takes_no_time() {
        // Parsers that try alternatives take twice or three times as long for each of these.
        for bracket in ["[", "{", "(", "'", "\"", "[]", "{}", "()", "{'", "{'shape': ("] {
            for start in ["{'descr': ", "{'descr': '<f4', 'shape': ", ""] {
                assert!(parse(&(start.to_string() + &bracket.repeat(700))).is_err(), "{start}{bracket}");
            }
        }
    }
}
