//! Which lines make which image: by their counters and flags.

use super::choice::ScanChoice;
use super::header::{Calibration, Header};
use super::records::{AVERAGE, Acquisition, IMAGE_COUNTERS, flag};
use std::collections::{BTreeMap, BTreeSet};

/// The values of the six counters.
pub(super) type Counters = [usize; 6];

/// The lines of one image.
pub(super) struct Image<'s, 'a> {
    /// The counters that it has; that of averages is 0 where they are averaged.
    pub at: Counters,
    pub imaging: Vec<&'s Acquisition<'a>>,
    /// Lines that coil maps are made from: of this image if there are any, else of its slice.
    pub reference: Vec<&'s Acquisition<'a>>,
    /// Lines that the phases of readouts there and back are made from.
    pub navigators: Vec<&'s Acquisition<'a>>,
}

/// What is read of a file.
pub(super) struct Selection<'s, 'a> {
    /// The counters of which several values are read, with the values.
    pub axes: Vec<(usize, Vec<usize>)>,
    /// The images, the last axis fastest; `None` where the file has no line.
    pub images: Vec<Option<Image<'s, 'a>>>,
    pub noise: Vec<&'s Acquisition<'a>>,
    pub notes: Vec<String>,
}

/// What a line is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Image,
    /// Reference of parallel imaging, and no line of the image by its flag.
    Reference,
    Noise,
    PhaseCorrection,
    Other,
}

/// By its flags.
pub(super) fn role(line: &Acquisition) -> Role {
    if line.has(flag::NOISE) {
        Role::Noise
    } else if line.has(flag::PHASE_CORRECTION) {
        Role::PhaseCorrection
    } else if flag::OTHER.iter().any(|&f| line.has(f)) {
        Role::Other
    } else if line.has(flag::CALIBRATION) && !line.has(flag::CALIBRATION_AND_IMAGING) {
        Role::Reference
    } else {
        Role::Image
    }
}

/// "1 line", "2 lines"
pub(super) fn count_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// "0", "0 and 1", "0 to 5", "0, 2, 5": values in order.
pub(super) fn listed(values: &[usize]) -> String {
    match values {
        [] => "none".into(),
        [first, .., last] if values.windows(2).all(|pair| pair[0] + 1 == pair[1]) => format!("{first} to {last}"),
        _ if values.len() > 12 => format!("{} values from {} to {}", values.len(), values[0], values[values.len() - 1]),
        _ => values.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Sorts all lines of a file.
pub(super) fn select<'s, 'a>(
    header: &Header,
    all: &'s [Acquisition<'a>],
    choice: &ScanChoice,
) -> Result<Selection<'s, 'a>, String> {
    let mut notes = Vec::new();
    if header.encodings > 1 {
        notes.push(format!("encoding {} of {}", choice.encoding, header.encodings));
    }
    let of = |wanted: Role| all.iter().filter(move |a| a.encoding == choice.encoding && role(a) == wanted);
    let mut imaging: Vec<&Acquisition> = of(Role::Image).collect();
    let reference: Vec<&Acquisition> = of(Role::Reference).collect();
    let flagged = imaging.iter().filter(|a| a.has(flag::CALIBRATION_AND_IMAGING)).count();
    let embedded = is_embedded(header, &imaging, &reference);
    if !reference.is_empty() || flagged > 0 {
        let word = match (embedded, header.calibration_word.as_str()) {
            (true, "" | "other") => "between those of the image, taken as embedded",
            (false, "" | "other") => "acquired beside those of the image, taken as separate",
            (_, word) => word,
        };
        let n = count_of(reference.len() + flagged, "reference line");
        notes.push(match embedded || reference.is_empty() {
            true => format!("{n} ({word}): for image and maps"),
            false => format!("{n} ({word}): for the maps only"),
        });
    }
    if embedded {
        imaging.extend(&reference);
    }
    let noise: Vec<&Acquisition> = all.iter().filter(|a| role(a) == Role::Noise).collect();
    let navigators: Vec<&Acquisition> = of(Role::PhaseCorrection).collect();
    let used = imaging.len() + noise.len() + navigators.len() + if embedded { 0 } else { reference.len() };
    if used < all.len() {
        let left = all.len() - used;
        notes.push(format!("skipped {left} of {} lines (navigators, dummies, other encodings)", all.len()));
    }
    if imaging.is_empty() {
        return Err(format!("none of its {} acquisitions is an imaging line", all.len()));
    }
    let (axes, keys) = chosen(&imaging, choice, &mut notes)?;
    let averaged = !choice.average.is_stack() && choice.average == super::Pick::Usual;
    let key_of = |a: &Acquisition| {
        let mut at = a.image;
        at[AVERAGE] = if averaged { 0 } else { at[AVERAGE] };
        at
    };
    let mut of_key: BTreeMap<Counters, Vec<&Acquisition>> = BTreeMap::new();
    let all_imaging = imaging.clone();
    imaging.into_iter().for_each(|a| of_key.entry(key_of(a)).or_default().push(a));
    let reference: Vec<&Acquisition> = all
        .iter()
        .filter(|a| a.encoding == choice.encoding)
        .filter(|a| role(a) == Role::Reference || role(a) == Role::Image && a.has(flag::CALIBRATION_AND_IMAGING))
        .collect();
    let mut united = 0;
    let images = keys.into_iter().map(|at| {
        let imaging = of_key.remove(&at)?;
        let (mut reference, navigators) = (belonging(&reference, at), belonging(&navigators, at));
        if reference.is_empty()
            && header.may_be_a_grid()
            && header.calibration != Calibration::Separate
            && let Some(all) = interleaved(&all_imaging, &imaging, at)
        {
            united = united.max(frames(&all));
            reference = all;
        }
        Some(Image { at, imaging, reference, navigators })
    });
    let images = images.collect();
    if united > 0 {
        notes.push(format!("other lines each time: maps from those of {united} repetitions together"));
    }
    Ok(Selection { images, axes, noise, notes })
}

/// Whether reference lines belong to the image too: as the header says; else where they are not acquired twice.
fn is_embedded(header: &Header, imaging: &[&Acquisition], reference: &[&Acquisition]) -> bool {
    match header.calibration {
        Calibration::Embedded | Calibration::Interleaved => true,
        Calibration::Separate => false,
        Calibration::Unknown => {
            let place = |a: &&Acquisition| (a.line, a.partition, a.image);
            let there: BTreeSet<_> = imaging.iter().map(place).collect();
            !reference.iter().any(|a| there.contains(&place(a)))
        }
    }
}

/// The lines of all repetitions and phases of an image, where they are at other places than its own; `None` where they are not.
///
/// Breuer et al., "Dynamic autocalibrated parallel imaging using temporal GRAPPA", Magn. Reson. Med. 53:981 (2005).
fn interleaved<'s, 'a>(
    all: &[&'s Acquisition<'a>],
    own: &[&'s Acquisition<'a>],
    at: Counters,
) -> Option<Vec<&'s Acquisition<'a>>> {
    let fixed = |a: &Acquisition| [a.image[0], a.image[1], a.image[4]] == [at[0], at[1], at[4]];
    let lines: Vec<&Acquisition> = all.iter().copied().filter(|a| fixed(a)).collect();
    let places = |lines: &[&Acquisition]| lines.iter().map(|a| (a.partition, a.line)).collect::<BTreeSet<_>>().len();
    (places(&lines) > places(own)).then_some(lines)
}

/// How many repetitions and phases lines are of.
fn frames(lines: &[&Acquisition]) -> usize {
    lines.iter().map(|a| (a.image[2], a.image[3])).collect::<BTreeSet<_>>().len()
}

/// Those of the same counters, as far as there are any with that value; always of the same slice.
fn belonging<'s, 'a>(lines: &[&'s Acquisition<'a>], at: Counters) -> Vec<&'s Acquisition<'a>> {
    let mut left: Vec<&Acquisition> = lines.iter().copied().filter(|a| a.image[0] == at[0]).collect();
    for (counter, &wanted) in at.iter().enumerate().take(AVERAGE).skip(1) {
        let same: Vec<&Acquisition> = left.iter().copied().filter(|a| a.image[counter] == wanted).collect();
        if !same.is_empty() {
            left = same;
        } else if let Some(first) = left.iter().map(|a| a.image[counter]).min() {
            left.retain(|a| a.image[counter] == first);
        }
    }
    left
}

/// The counters that give a stack with their values, and the counters of each image that is asked for.
#[allow(clippy::type_complexity)]
fn chosen(
    imaging: &[&Acquisition],
    choice: &ScanChoice,
    notes: &mut Vec<String>,
) -> Result<(Vec<(usize, Vec<usize>)>, Vec<Counters>), String> {
    let picks = choice.picks();
    let averaged = *picks[AVERAGE] == super::Pick::Usual;
    let there: BTreeSet<Counters> = imaging.iter().map(|a| a.image).collect();
    let values = |counter: usize, of: &BTreeSet<Counters>| -> Vec<usize> {
        of.iter().map(|at| at[counter]).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let mut wanted = there.clone();
    for (counter, pick) in picks.iter().enumerate() {
        let name = IMAGE_COUNTERS[counter];
        let had = values(counter, &there);
        if let Some(missing) = match pick {
            super::Pick::Only(n) => Some(*n).filter(|n| !had.contains(n)),
            super::Pick::List(list) => list.iter().copied().find(|n| !had.contains(n)),
            _ => None,
        } {
            return Err(format!("no {name} {missing}; the file has {name} {}", listed(&had)));
        }
        wanted.retain(|at| pick.takes(at[counter]));
        if wanted.is_empty() {
            return Err(format!("no image of that {name}; the file has {name} {}", listed(&had)));
        }
    }
    if averaged {
        wanted = wanted.into_iter().map(|mut at| (at[AVERAGE] = 0, at).1).collect();
    }
    // Of the counters that nothing is said of, the first values at which most of what is asked for is there.
    let free = |at: &Counters| -> Vec<usize> {
        let unsaid = (0..6).filter(|c| *picks[*c] == super::Pick::Usual);
        unsaid.map(|c| at[c]).collect()
    };
    let mut groups: BTreeMap<Vec<usize>, BTreeSet<Counters>> = BTreeMap::new();
    for at in wanted {
        groups.entry(free(&at)).or_default().insert(at);
    }
    let most = groups.values().map(BTreeSet::len).max().unwrap_or(0);
    let Some(group) = groups.into_values().find(|g| g.len() == most) else {
        return Err("no image of these counters".into());
    };
    let axes: Vec<(usize, Vec<usize>)> =
        (0..6).filter(|c| picks[*c].is_stack()).map(|c| (c, order(picks[c], values(c, &group)))).collect();
    let Some(&first) = group.iter().next() else { return Err("no image of these counters".into()) };
    let mut keys = vec![first];
    for (counter, values) in &axes {
        let with = |at: &Counters, value: usize| {
            let mut at = *at;
            at[*counter] = value;
            at
        };
        keys = keys.iter().flat_map(|at| values.iter().map(move |v| with(at, *v))).collect();
    }
    let mut said = Vec::new();
    for (counter, name) in IMAGE_COUNTERS.iter().enumerate() {
        let had = values(counter, &there);
        if had.len() < 2 && !picks[counter].is_stack() && had == [0] {
            continue;
        }
        let what = match axes.iter().find(|(c, _)| *c == counter) {
            Some((_, values)) => format!("{name} {}", listed(values)),
            None if counter == AVERAGE && averaged => format!("the mean of {}", count_of(had.len(), name)),
            None => format!("{name} {}", first[counter]),
        };
        let of = if had.len() > 1 { format!(" of {}", listed(&had)) } else { String::new() };
        said.push(if counter == AVERAGE && averaged { what } else { format!("{what}{of}") });
    }
    if !said.is_empty() {
        notes.push(format!("read {}", said.join(", ")));
    }
    let holes = keys.iter().filter(|at| !group.contains(*at)).count();
    if holes > 0 {
        notes.push(format!("{} of the stack not in the file, left 0", count_of(holes, "image")));
    }
    Ok((axes, keys))
}

/// The values in the order that a list has.
fn order(pick: &super::Pick, values: Vec<usize>) -> Vec<usize> {
    match pick {
        super::Pick::List(list) => list.iter().copied().filter(|v| values.contains(v)).collect(),
        _ => values,
    }
}
