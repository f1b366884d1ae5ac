//! Shapes with wildcards, matched by unification: a wildcard means the same dims wherever it stands.

use super::names::{self, Unnamed};
use super::shape::{EXTENT, slip};
use super::{Dim, Shape, join};
use crate::error::{Result, shape_err};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A shape with wildcards: `"... Ny=256 Nx"`, `"(1) Ny (2)"`.
///
/// `...` stands for any number of dims (none too), at most once in a pattern; `()` for any one dim; `(1)`, `(2)` for one dim
/// each that stays the same wherever the number stands. A name may carry an extent, which is then checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Dim(Dim, Option<usize>),
    Any,
    Numbered(u32),
    Rest,
}

/// What the wildcards of one or more patterns stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    rest: Option<Vec<(Dim, usize)>>,
    numbered: BTreeMap<u32, (Dim, usize)>,
    named: BTreeMap<Dim, usize>,
}

impl Pattern {
    /// A pattern without wildcards.
    pub(super) fn of(dims: &[(Dim, Option<usize>)]) -> Result<Pattern> {
        Pattern::new(dims.iter().map(|(d, n)| Token::Dim(*d, *n)))
    }

    /// Patterns one after the other.
    pub(super) fn joined(parts: impl Iterator<Item = Result<Pattern>>) -> Result<Pattern> {
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Pattern::new(parts.into_iter().flat_map(|p| p.tokens))
    }

    /// Checks what only the whole of it tells.
    fn new(parts: impl IntoIterator<Item = Token>) -> Result<Pattern> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut named = HashSet::new();
        let mut rests = 0;
        let mut repeated = None;
        for token in parts {
            match token {
                // Neighbouring ellipses say no more than one.
                Token::Rest if tokens.last() == Some(&Token::Rest) => continue,
                Token::Rest => rests += 1,
                Token::Dim(d, _) if !named.insert(d) => repeated = repeated.or(Some(d)),
                _ => {}
            }
            tokens.push(token);
        }
        let pattern = Pattern { tokens };
        match repeated {
            Some(d) => shape_err!("dim {d} stands twice in \"{pattern}\"; dims of one shape must differ"),
            None if rests > 1 => {
                shape_err!("\"{pattern}\" has ... at two places; what each stands for would be open")
            }
            None => Ok(pattern),
        }
    }

    /// The dims, if it is nothing but names.
    ///
    /// # Errors
    /// A dim has an extent, or there are wildcards.
    pub fn dims(&self) -> Result<Vec<Dim>> {
        let name = |token: &Token| match token {
            Token::Dim(d, None) => Ok(*d),
            Token::Dim(d, Some(_)) => {
                shape_err!("\"{self}\" gives dim {d} an extent; expected names alone, as in Ny Nx")
            }
            _ => shape_err!("\"{self}\" has a wildcard; name each dim, as in Ny Nx"),
        };
        self.tokens.iter().map(name).collect()
    }

    /// The dims, where `...` stands for those of `others` that are not named.
    ///
    /// # Errors
    /// A dim has an extent, or there are other wildcards.
    pub(crate) fn dims_among(&self, others: &[Dim]) -> Result<Vec<Dim>> {
        let named = Pattern { tokens: self.tokens.iter().filter(|t| **t != Token::Rest).cloned().collect() };
        let mut dims = named.dims()?;
        if let Some(at) = self.tokens.iter().position(|t| *t == Token::Rest) {
            let rest: Vec<Dim> = others.iter().filter(|d| !dims.contains(d)).copied().collect();
            dims.splice(at..at, rest);
        }
        Ok(dims)
    }

    /// The shape of these axes under the names of this pattern: `()` leaves one as it is called, `...` all that are not named.
    /// Extents that are given are checked.
    pub(crate) fn name(&self, axes: &[Unnamed]) -> Result<Shape> {
        let fixed = self.tokens.iter().filter(|t| **t != Token::Rest).count();
        let rest = axes.len().checked_sub(fixed).filter(|rest| *rest == 0 || fixed < self.tokens.len());
        let Some(rest) = rest else {
            let (all, dims) = (names::show(axes), if fixed == 1 { "dim" } else { "dims" });
            return shape_err!("\"{self}\" names {fixed} {dims}, expected {}{all}", axes.len());
        };
        let stays = |(name, extent): &Unnamed, wildcard: &str| match name {
            Some(d) => Ok((*d, *extent)),
            None => {
                shape_err!("{wildcard} in \"{self}\" stands for an axis of extent {extent} that has no name; name it")
            }
        };
        let (mut out, mut at) = (Vec::with_capacity(axes.len()), 0);
        for token in &self.tokens {
            let axis = at;
            at += if *token == Token::Rest { rest } else { 1 };
            match token {
                Token::Rest => out.extend(axes[axis..at].iter().map(|a| stays(a, "...")).collect::<Result<Vec<_>>>()?),
                Token::Any => out.push(stays(&axes[axis], "()")?),
                Token::Numbered(n) => {
                    return shape_err!("({n}) in \"{self}\" says nothing here; expected a name, () or ...");
                }
                Token::Dim(d, Some(want)) if *want != axes[axis].1 => {
                    return shape_err!("dim {d} has extent {}, expected {want} of \"{self}\"", axes[axis].1);
                }
                Token::Dim(d, _) => out.push((*d, axes[axis].1)),
            }
        }
        let (dims, extents) = out.into_iter().unzip();
        Shape::new(dims, extents)
    }

    /// Matches a shape and adds what the wildcards stand for to `bindings`; a wildcard that is bound already must stand
    /// for the same dims again, and a named dim must have the same extent.
    ///
    /// # Errors
    /// The shape does not match; `bindings` is then as before.
    pub fn bind(&self, shape: &Shape, bindings: &mut Bindings) -> Result<()> {
        let all: Vec<(Dim, usize)> = shape.iter().collect();
        let mut new = bindings.clone();
        let fixed = self.tokens.iter().filter(|t| **t != Token::Rest).count();
        let has_rest = fixed < self.tokens.len();
        if all.len() < fixed || (!has_rest && all.len() > fixed) {
            let least = if has_rest { "at least " } else { "" };
            return shape_err!("\"{self}\" expects {least}{fixed} dims, {shape} has {}", all.len());
        }
        let mut at = 0;
        for token in &self.tokens {
            let take = if *token == Token::Rest { all.len() - fixed } else { 1 };
            new.take(self, token, &all[at..at + take])?;
            at += take;
        }
        *bindings = new;
        Ok(())
    }

    /// Whether a shape matches on its own.
    pub fn matches(&self, shape: &Shape) -> Result<Bindings> {
        let mut b = Bindings::default();
        self.bind(shape, &mut b)?;
        Ok(b)
    }

    /// The shape that this pattern stands for under `bindings`.
    ///
    /// # Errors
    /// A wildcard or the extent of a dim is not bound, or dims repeat.
    pub fn fill(&self, bindings: &Bindings) -> Result<Shape> {
        let mut out = Vec::new();
        for token in &self.tokens {
            match token {
                Token::Dim(d, Some(e)) => out.push((*d, *e)),
                Token::Dim(d, None) => match bindings.named.get(d) {
                    Some(e) => out.push((*d, *e)),
                    None => return shape_err!("the extent of {d} in \"{self}\" is not known; write {d}=…"),
                },
                Token::Any => return shape_err!("() in \"{self}\" stands for no particular dim; name or number it"),
                Token::Numbered(n) => match bindings.numbered.get(n) {
                    Some(d) => out.push(*d),
                    None => return shape_err!("({n}) in \"{self}\" is not bound to a dim"),
                },
                Token::Rest => match &bindings.rest {
                    Some(r) => out.extend(r),
                    None => return shape_err!("... in \"{self}\" is not bound to dims"),
                },
            }
        }
        let (dims, extents) = out.into_iter().unzip();
        Shape::new(dims, extents)
    }

    /// The pattern behind `...`, if it begins with that.
    pub fn behind_rest(&self) -> Option<Pattern> {
        match self.tokens.split_first() {
            Some((Token::Rest, tokens)) => Some(Pattern { tokens: tokens.to_vec() }),
            _ => None,
        }
    }

    /// The plain shape, if every dim has an extent and there are no wildcards.
    pub fn to_full(&self) -> Option<Result<Shape>> {
        let full = self.tokens.iter().all(|t| matches!(t, Token::Dim(_, Some(_))));
        full.then(|| self.fill(&Bindings::default()))
    }
}

impl Bindings {
    /// The dims that `...` stands for.
    pub fn rest(&self) -> Option<Vec<Dim>> {
        self.rest.as_ref().map(|r| r.iter().map(|(d, _)| *d).collect())
    }

    fn take(&mut self, pattern: &Pattern, token: &Token, dims: &[(Dim, usize)]) -> Result<()> {
        match token {
            Token::Rest => match &self.rest {
                Some(bound) if bound != dims => shape_err!(
                    "... in \"{pattern}\" would stand for \"{}\", but stands for \"{}\" already",
                    show(dims),
                    show(bound)
                ),
                _ => {
                    self.rest = Some(dims.to_vec());
                    self.name_all(pattern, dims)
                }
            },
            Token::Numbered(n) => match self.numbered.get(n) {
                Some(bound) if *bound != dims[0] => {
                    shape_err!(
                        "({n}) in \"{pattern}\" would stand for {}, but stands for {} already",
                        show(dims),
                        show(&[*bound])
                    )
                }
                _ => {
                    self.numbered.insert(*n, dims[0]);
                    self.name_all(pattern, dims)
                }
            },
            Token::Any => self.name_all(pattern, dims),
            Token::Dim(name, extent) => {
                let (dim, came) = dims[0];
                if *name != dim {
                    return shape_err!("expected dim {name} of \"{pattern}\", came {dim}");
                }
                match extent {
                    Some(want) if *want != came => {
                        shape_err!("dim {dim} has extent {came}, expected {want} of \"{pattern}\"")
                    }
                    _ => self.name_all(pattern, dims),
                }
            }
        }
    }

    fn name_all(&mut self, pattern: &Pattern, dims: &[(Dim, usize)]) -> Result<()> {
        for (dim, came) in dims {
            match self.named.insert(*dim, *came) {
                Some(before) if before != *came => {
                    return shape_err!("dim {dim} has extent {came} in \"{pattern}\", but {before} elsewhere");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn show(dims: &[(Dim, usize)]) -> String {
    join(&dims.iter().map(|(d, _)| *d).collect::<Vec<_>>())
}

impl std::str::FromStr for Pattern {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Pattern> {
        let token = |t: &str| {
            Ok(match t {
                "..." => Token::Rest,
                "()" => Token::Any,
                _ => match (t.strip_prefix('(').and_then(|t| t.strip_suffix(')')), t.split_once('=')) {
                    (Some(n), _) => match n.parse() {
                        Ok(n) => Token::Numbered(n),
                        Err(_) => return shape_err!("\"{t}\" in \"{text}\" is no wildcard; expected () or (1)"),
                    },
                    (None, Some((name, extent))) => match extent.parse() {
                        Ok(0) => return shape_err!("dim {name} has extent 0; every extent must be at least 1"),
                        Ok(e) => Token::Dim(name.parse()?, Some(e)),
                        Err(_) => {
                            let slip = slip(text);
                            return shape_err!("the extent of {name} is \"{extent}\"; expected {EXTENT}{slip}");
                        }
                    },
                    (None, None) => Token::Dim(t.parse()?, None),
                },
            })
        };
        Pattern::new(text.split_whitespace().map(token).collect::<Result<Vec<_>>>()?)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, t) in self.tokens.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            match t {
                Token::Dim(d, None) => write!(f, "{d}")?,
                Token::Dim(d, Some(e)) => write!(f, "{d}={e}")?,
                Token::Any => f.write_str("()")?,
                Token::Numbered(n) => write!(f, "({n})")?,
                Token::Rest => f.write_str("...")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(s: &str) -> Pattern {
        s.parse().unwrap()
    }

    fn s(t: &str) -> Shape {
        t.parse().unwrap()
    }

    #[test]
    fn ellipsis_needs_its_fixed_dims() {
        assert!(p("... A").matches(&s("")).is_err(), "a pattern with A must not match no dims");
        assert!(p("... A").matches(&s("A=2")).is_ok());
        assert!(p("A ... B").matches(&s("A=2 B=3")).unwrap().rest().unwrap().is_empty());
        assert!(p("A ... B").matches(&s("A=2")).is_err());
        assert_eq!(p("... Nx").matches(&s("C=2 Ny=3 Nx=4")).unwrap().rest().unwrap().len(), 2);
        assert!("... A ...".parse::<Pattern>().is_err());
        assert_eq!(p("... ... A").to_string(), "... A");
        assert_eq!(p("... A=2 B=3").behind_rest(), Some(p("A=2 B=3")));
        assert_eq!((p("A ...").behind_rest(), p("...").behind_rest()), (None, Some(p(""))));
    }

    #[test]
    fn a_wildcard_stands_for_the_same_dims_everywhere() {
        let mut b = Bindings::default();
        p("(1) Ny").bind(&s("C=4 Ny=3"), &mut b).unwrap();
        assert!(p("(1) Nx").bind(&s("T=4 Nx=3"), &mut b).is_err());
        p("(1) Nx").bind(&s("C=4 Nx=5"), &mut b).unwrap();
        assert_eq!(p("Nx (1) Ny").fill(&b).unwrap(), s("Nx=5 C=4 Ny=3"));
        // An extent bound on one side holds on the other.
        assert!(p("Ny").bind(&s("Ny=9"), &mut b).unwrap_err().to_string().contains("elsewhere"));
        let mut b = Bindings::default();
        p("... Nx").bind(&s("C=4 Nx=3"), &mut b).unwrap();
        assert!(p("... Ky").bind(&s("T=4 Ky=3"), &mut b).is_err());
        assert_eq!(p("... Kx=7").fill(&b).unwrap(), s("C=4 Kx=7"));
    }

    #[test]
    fn extents_are_checked() {
        assert!(p("C Ny=3").matches(&s("C=4 Ny=3")).is_ok());
        assert!(
            p("C Ny=3").matches(&s("C=4 Ny=4")).unwrap_err().to_string().contains("dim Ny has extent 4, expected 3")
        );
        assert!(p("Ny C").matches(&s("C=4 Ny=4")).is_err());
        assert!("A=0".parse::<Pattern>().is_err());
        assert!(p("A=3 B=4").to_full().unwrap().is_ok());
        assert!(p("A=3 B").to_full().is_none());
    }
}
