//! Solvers of one kind in lockstep: each has a column of the same vectors, and what several ask for alike is done at once.
//!
//! A solver sees a [`Space`] of its own. What it asks for waits until all others have asked for something, too: then what stands
//! first is done for all columns where it is the same, one pass or one apply for them together. So solvers need not know of each
//! other. Where they part (one keeps its iterate, another does not) passes go ahead of applies, which brings them together again
//! at the next apply.

use super::{Layout, Scalar, Space, Vector};
use crate::error::Result;
use crate::tensor::Tensor;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Columns of a space, at most.
pub(crate) const COLUMNS: usize = 32;

/// Some of the columns of a space: bit c is column c.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Which(pub u32);

impl Which {
    /// The first so many.
    pub fn first(columns: usize) -> Which {
        Which((0..columns).fold(0, |bits, c| bits | 1 << c))
    }

    pub fn one(column: usize) -> Which {
        Which(1 << column)
    }

    pub fn has(self, column: usize) -> bool {
        self.0 & 1 << column != 0
    }

    /// Those that are not in the other.
    pub fn without(self, other: Which) -> Which {
        Which(self.0 & !other.0)
    }

    pub fn with(self, other: Which) -> Which {
        Which(self.0 | other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..COLUMNS).filter(move |c| self.has(*c))
    }
}

/// Vectors and scalars of several solvers of one kind on one device, all 0 at first, with the operators that they share. What is
/// asked for happens in order; on a GPU it is recorded, see [`Space`].
pub(crate) trait Columns {
    fn set(&mut self, column: usize, v: Vector, t: &Tensor) -> Result<()>;
    fn get(&mut self, column: usize, v: Vector) -> Result<Tensor>;
    fn set_scalar(&mut self, column: usize, s: Scalar, value: f32) -> Result<()>;
    /// The scalars of all columns.
    fn scalars(&mut self) -> Result<Vec<Vec<f64>>>;
    fn copy(&mut self, from: Vector, to: Vector, of: Which) -> Result<()>;
    /// to = A from, of these columns. What `to` holds of those that are `kept` stays; of others it is lost.
    fn apply(&mut self, operator: usize, from: Vector, to: Vector, of: Which, kept: Which) -> Result<()>;
    fn pass(&mut self, pass: usize, of: Which) -> Result<()>;
    fn submit(&mut self) -> Result<()>;
    fn send(&mut self) -> Result<()>;
}

/// Makes columns, so many.
pub(crate) type Make<'a> = Box<dyn Fn(usize) -> Result<Box<dyn Columns>> + 'a>;

/// What a solver has asked for.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    /// The bits of a number.
    Scalar(Scalar, u32),
    Copy(Vector, Vector),
    Pass(usize),
    Submit,
    Apply(usize, Vector, Vector),
}

/// What the spaces of all columns share.
struct Lockstep {
    columns: Box<dyn Columns>,
    /// Of each column, in order; none where nobody holds it any more.
    asked: Vec<Option<VecDeque<Ask>>>,
    /// The scalars that were read last, and the columns where nothing came after.
    scalars: Vec<Vec<f64>>,
    read: Which,
    /// The passes that begin sums; and columns whose last pass was one.
    begins: Vec<bool>,
    begun: Which,
    /// Makes fewer columns, where that makes less work.
    make: Option<Make<'static>>,
    vectors: usize,
    /// Which column of `columns` is whose: handles keep their numbers.
    places: Vec<usize>,
}

/// One solver's space among others.
pub(crate) struct Column {
    all: Rc<RefCell<Lockstep>>,
    at: usize,
}

/// The space of one solver, and no other.
pub(crate) fn alone(columns: Box<dyn Columns>, layout: &Layout) -> Box<dyn Space> {
    Box::new(Column { all: Rc::new(RefCell::new(Lockstep::new(columns, 1, layout))), at: 0 })
}

/// The spaces of so many solvers, over vectors of this number. With `make` those that are left get columns of their own when most
/// have ended.
pub(crate) fn lockstep(
    columns: Box<dyn Columns>,
    (width, vectors): (usize, usize),
    layout: &Layout,
    make: Option<Make<'static>>,
) -> Vec<Box<dyn Space>> {
    let all = Lockstep { make, vectors, ..Lockstep::new(columns, width, layout) };
    let all = Rc::new(RefCell::new(all));
    (0..width).map(|at| -> Box<dyn Space> { Box::new(Column { all: all.clone(), at }) }).collect()
}

impl Lockstep {
    fn new(columns: Box<dyn Columns>, width: usize, layout: &Layout) -> Lockstep {
        Lockstep {
            columns,
            asked: (0..width).map(|_| Some(VecDeque::new())).collect(),
            scalars: Vec::new(),
            read: Which::default(),
            begins: layout.passes.iter().map(|p| !p.sums.is_empty()).collect(),
            begun: Which::default(),
            make: None,
            vectors: 0,
            places: (0..width).collect(),
        }
    }

    /// The places of columns that somebody holds.
    fn held(&self) -> Which {
        let held = self.asked.iter().zip(&self.places).filter(|(asked, _)| asked.is_some());
        held.fold(Which::default(), |all, (_, place)| all.with(Which::one(*place)))
    }

    fn ask(&mut self, at: usize, what: Ask) -> Result<()> {
        if let [Some(_)] = &self.asked[..] {
            return self.run(what, Which::one(0));
        }
        self.narrow()?;
        if let Some(asked) = &mut self.asked[at] {
            asked.push_back(what);
        }
        while self.asked.iter().flatten().all(|asked| !asked.is_empty()) {
            self.step()?;
        }
        Ok(())
    }

    /// Does all that this one has asked for.
    fn drain(&mut self, at: usize) -> Result<()> {
        while self.asked[at].as_ref().is_some_and(|asked| !asked.is_empty()) {
            self.step()?;
        }
        Ok(())
    }

    /// Does what stands first somewhere: what is one's own, then what makes others ready for an apply, of those who have asked for
    /// most; for all where it stands first.
    fn step(&mut self) -> Result<()> {
        let order = |what: Ask| match what {
            Ask::Scalar(..) => 0,
            Ask::Apply(..) => 2,
            _ => 1,
        };
        let heads = self.asked.iter().flatten().filter_map(|asked| Some((asked.len(), *asked.front()?)));
        let next = heads.min_by_key(|(len, what)| (order(*what), std::cmp::Reverse(*len)));
        let Some((_, next)) = next else { return Ok(()) };
        let mut of = Which::default();
        for (asked, place) in self.asked.iter_mut().zip(&self.places) {
            if let Some(asked) = asked.as_mut().filter(|a| a.front() == Some(&next)) {
                asked.pop_front();
                of = of.with(Which::one(*place));
            }
        }
        self.run(next, of)
    }

    fn run(&mut self, what: Ask, of: Which) -> Result<()> {
        match what {
            Ask::Scalar(s, value) => {
                self.read = self.read.without(of);
                of.iter().try_for_each(|c| self.columns.set_scalar(c, s, f32::from_bits(value)))
            }
            Ask::Copy(from, to) => self.columns.copy(from, to, of),
            Ask::Pass(pass) => {
                self.read = self.read.without(of);
                self.begun = if self.begins[pass] { self.begun.with(of) } else { self.begun.without(of) };
                self.columns.pass(pass, of)
            }
            Ask::Apply(operator, from, to) => {
                let kept = if self.asked.len() > 1 { self.held().without(of) } else { Which::default() };
                self.columns.apply(operator, from, to, of, kept)
            }
            Ask::Submit => self.columns.submit(),
        }
    }

    /// Moves those that are left to columns of their own, where most have ended. Where these cannot be made all stays as it is.
    fn narrow(&mut self) -> Result<()> {
        let held: Vec<usize> =
            self.asked.iter().zip(&self.places).filter(|(a, _)| a.is_some()).map(|(_, p)| *p).collect();
        let width = self.places.iter().max().map_or(0, |p| p + 1);
        let begun = self.begun.0 & self.held().0 != 0;
        if 2 * held.len() > width || held.is_empty() || begun {
            return Ok(());
        }
        let Some(made) = self.make.as_ref().map(|make| make(held.len())) else { return Ok(()) };
        let Ok(mut to) = made else {
            self.make = None;
            return Ok(());
        };
        self.move_to(&mut *to, &held)?;
        self.columns = to;
        (self.read, self.begun) = Default::default();
        for place in &mut self.places {
            *place = held.iter().position(|h| h == place).unwrap_or(0);
        }
        Ok(())
    }

    fn move_to(&mut self, to: &mut dyn Columns, held: &[usize]) -> Result<()> {
        let scalars = self.columns.scalars()?;
        for (column, &from) in held.iter().enumerate() {
            for v in (0..self.vectors).map(Vector) {
                to.set(column, v, &self.columns.get(from, v)?)?;
            }
            for (s, value) in scalars[from].iter().enumerate() {
                to.set_scalar(column, Scalar(s), *value as f32)?;
            }
        }
        Ok(())
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        self.all.borrow_mut().asked[self.at] = None;
    }
}

impl Space for Column {
    fn set(&mut self, v: Vector, t: &Tensor) -> Result<()> {
        let mut all = self.all.borrow_mut();
        all.drain(self.at)?;
        let place = all.places[self.at];
        all.columns.set(place, v, t)
    }

    fn get(&mut self, v: Vector) -> Result<Tensor> {
        let mut all = self.all.borrow_mut();
        all.drain(self.at)?;
        let place = all.places[self.at];
        all.columns.get(place, v)
    }

    fn copy(&mut self, from: Vector, to: Vector) -> Result<()> {
        self.all.borrow_mut().ask(self.at, Ask::Copy(from, to))
    }

    fn set_scalar(&mut self, s: Scalar, value: f32) -> Result<()> {
        self.all.borrow_mut().ask(self.at, Ask::Scalar(s, value.to_bits()))
    }

    fn scalars(&mut self) -> Result<Vec<f64>> {
        let mut all = self.all.borrow_mut();
        all.drain(self.at)?;
        let place = all.places[self.at];
        if !all.read.has(place) {
            all.scalars = all.columns.scalars()?;
            all.read = Which::first(all.scalars.len());
        }
        Ok(all.scalars[place].clone())
    }

    fn apply(&mut self, operator: usize, from: Vector, to: Vector) -> Result<()> {
        self.all.borrow_mut().ask(self.at, Ask::Apply(operator, from, to))
    }

    fn pass(&mut self, pass: usize) -> Result<()> {
        self.all.borrow_mut().ask(self.at, Ask::Pass(pass))
    }

    fn submit(&mut self) -> Result<()> {
        self.all.borrow_mut().ask(self.at, Ask::Submit)
    }

    fn send(&mut self) -> Result<()> {
        let mut all = self.all.borrow_mut();
        all.drain(self.at)?;
        all.columns.send()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::*;
    use crate::tensor::DType;

    /// Writes down what is done, and for which columns.
    struct Told(Rc<RefCell<Vec<(String, u32)>>>);

    impl Told {
        fn tell(&mut self, what: String, of: Which) -> Result<()> {
            self.0.borrow_mut().push((what, of.0));
            Ok(())
        }
    }

    impl Columns for Told {
        fn set(&mut self, column: usize, v: Vector, _: &Tensor) -> Result<()> {
            self.tell(format!("set {}", v.0), Which::one(column))
        }

        fn get(&mut self, column: usize, v: Vector) -> Result<Tensor> {
            self.tell(format!("get {}", v.0), Which::one(column))?;
            Tensor::zeros("N=1", DType::F32)
        }

        fn set_scalar(&mut self, column: usize, s: Scalar, value: f32) -> Result<()> {
            self.tell(format!("s{} = {value}", s.0), Which::one(column))
        }

        fn scalars(&mut self) -> Result<Vec<Vec<f64>>> {
            self.tell("read".into(), Which::default())?;
            Ok(vec![vec![7.0]; 4])
        }

        fn copy(&mut self, from: Vector, to: Vector, of: Which) -> Result<()> {
            self.tell(format!("copy {} {}", from.0, to.0), of)
        }

        fn apply(&mut self, operator: usize, _: Vector, _: Vector, of: Which, kept: Which) -> Result<()> {
            self.tell(format!("apply {operator} beside {:b}", kept.0), of)
        }

        fn pass(&mut self, pass: usize, of: Which) -> Result<()> {
            self.tell(format!("pass {pass}"), of)
        }

        fn submit(&mut self) -> Result<()> {
            self.tell("submit".into(), Which::default())
        }

        fn send(&mut self) -> Result<()> {
            self.tell("send".into(), Which::default())
        }
    }

    fn layout() -> Layout {
        let sums = Pass::new("sums").dot(Vector(0), Vector(0));
        Layout { scalars: 1, passes: vec![Pass::new("plain"), sums, Pass::new("total").totals([Scalar(0)])] }
    }

    type Log = Rc<RefCell<Vec<(String, u32)>>>;

    fn spaces(width: usize, narrows: bool) -> (Log, Vec<Box<dyn Space>>) {
        let log = Log::default();
        let made = log.clone();
        let make = move |width: usize| -> Result<Box<dyn Columns>> {
            made.borrow_mut().push((format!("{width} columns"), 0));
            Ok(Box::new(Told(made.clone())))
        };
        let columns = Box::new(Told(log.clone()));
        let make = narrows.then(|| Box::new(make) as Make);
        let spaces = lockstep(columns, (width, 2), &layout(), make);
        (log, spaces)
    }

    fn iterate(space: &mut dyn Space) {
        space.apply(0, Vector(0), Vector(1)).unwrap();
        space.pass(1).unwrap();
        space.pass(2).unwrap();
        space.submit().unwrap();
    }

    fn taken(log: &Log) -> Vec<(String, u32)> {
        std::mem::take(&mut log.borrow_mut())
    }

    /// An iteration of all is what one of one is, also where some have asked for more than others.
    #[test]
    fn what_all_ask_for_is_done_once() {
        let (log, mut spaces) = spaces(4, false);
        let all = |beside: &str, of: u32| {
            [
                (format!("apply 0 beside {beside}"), of),
                ("pass 1".into(), of),
                ("pass 2".into(), of),
                ("submit".into(), 0),
            ]
        };
        for _ in 0..3 {
            spaces.iter_mut().for_each(|s| iterate(&mut **s));
        }
        assert_eq!(taken(&log), [all("0", 15), all("0", 15), all("0", 15)].concat());
        for keeps in [2, 0] {
            spaces[keeps].pass(0).unwrap();
        }
        spaces.iter_mut().for_each(|s| iterate(&mut **s));
        assert_eq!(taken(&log), [&[("pass 0".into(), 0b101)][..], &all("0", 15)].concat());
        // Who reads does not wait for the others, and reads once for all.
        spaces[1].pass(0).unwrap();
        assert_eq!(spaces[1].scalars().unwrap(), [7.0]);
        assert_eq!(spaces[3].scalars().unwrap(), [7.0]);
        assert_eq!(taken(&log), [("pass 0".into(), 0b10), ("read".into(), 0)]);
        spaces[0].apply(0, Vector(0), Vector(1)).unwrap();
        spaces[0].send().unwrap();
        assert_eq!(taken(&log), [("apply 0 beside 1110".into(), 1), ("send".into(), 0)]);
        // Who has gone is not waited for, and what lies there is not kept.
        drop(spaces.remove(1));
        spaces.iter_mut().for_each(|s| iterate(&mut **s));
        assert_eq!(taken(&log), all("0", 0b1101));
    }

    #[test]
    fn what_is_left_moves_to_columns_of_its_own() {
        let (log, mut spaces) = spaces(4, true);
        spaces.iter_mut().for_each(|s| iterate(&mut **s));
        drop(spaces.remove(0));
        taken(&log);
        spaces.iter_mut().for_each(|s| iterate(&mut **s));
        assert_eq!(taken(&log)[0], ("apply 0 beside 0".into(), 0b1110));
        drop(spaces.remove(1));
        // Sums that were begun are where they are: nobody moves before they are taken.
        spaces.iter_mut().for_each(|s| s.pass(1).unwrap());
        let moved = taken(&log);
        assert!(moved.contains(&("2 columns".into(), 0)), "{moved:?}");
        assert_eq!(moved.iter().filter(|(what, _)| what.starts_with("set")).count(), 4, "{moved:?}");
        assert_eq!(moved.last(), Some(&("pass 1".into(), 0b11)));
        drop(spaces.remove(0));
        spaces[0].pass(2).unwrap();
        assert_eq!(taken(&log), [("pass 2".into(), 0b10)]);
        spaces[0].pass(0).unwrap();
        assert!(taken(&log).contains(&("1 columns".into(), 0)));
    }
}
