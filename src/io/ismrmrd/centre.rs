//! Which line is the centre of k-space.

use std::collections::BTreeMap;

/// The centre among `n` lines: what the header says, if all lines then lie within the matrix; else the middle of the matrix or
/// the strongest line. `energies` are those of the acquired lines; `what` is what a line is called.
///
/// Lines may be numbered from the first that was acquired, of a header without limits too; then half of the matrix is no
/// centre, and the strongest line is.
pub(super) fn centre(
    said: Option<usize>,
    n: usize,
    energies: &BTreeMap<usize, f64>,
    what: &str,
    warnings: &mut Vec<String>,
) -> Result<usize, String> {
    let (Some(first), Some(last)) = (energies.keys().next().copied(), energies.keys().next_back().copied()) else {
        return Ok(said.unwrap_or(n / 2));
    };
    let fits = |centre: usize| first + n / 2 >= centre && last + n / 2 < centre + n;
    if let Some(centre) = said.filter(|c| fits(*c)) {
        return Ok(centre);
    }
    let strongest = energies.iter().fold((n / 2, 0.0), |best, (i, e)| if *e > best.1 { (*i, *e) } else { best }).0;
    // Where the middle is about as strong, nothing says that it is not the centre.
    let of = |line: usize| energies.get(&line).copied().unwrap_or(0.0);
    let near = strongest.abs_diff(n / 2) <= 1 || of(n / 2) >= 0.5 * of(strongest);
    let whole = last - first + 1 >= n;
    let candidates = match said.is_some() || near || whole {
        true => [n / 2, if said.is_some() { n / 2 } else { strongest }],
        false => [strongest, n / 2],
    };
    let taken = candidates.into_iter().find(|c| fits(*c));
    let Some(taken) = taken else {
        return Err(match said {
            Some(centre) => {
                format!("{what} {last} with the centre at {centre} falls outside the {n} {what}s of the encoded matrix")
            }
            None => format!("{what}s {first} to {last} do not fit into the {n} of the encoded matrix"),
        });
    };
    match said {
        Some(centre) => warnings.push(format!(
            "the header's centre {centre} puts {what}s outside the encoded matrix of {n}; {what} {taken} is taken for the centre"
        )),
        None if taken != n / 2 => warnings.push(format!(
            "the header does not say which {what} is the centre (encodingLimits); {what} {taken} is the strongest and taken for it"
        )),
        None if !near && strongest.abs_diff(n / 2) > n / 8 => warnings.push(format!(
            "the header does not say which {what} is the centre (encodingLimits); {} is taken, but {what} {strongest} is the strongest",
            n / 2
        )),
        None => {}
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        said: Option<usize>,
        n: usize,
        lines: std::ops::Range<usize>,
        strongest: usize,
    ) -> Result<(usize, bool), String> {
        let energies = lines.map(|i| (i, if i == strongest { 9.0 } else { 1.0 })).collect();
        let mut warnings = Vec::new();
        centre(said, n, &energies, "line", &mut warnings).map(|c| (c, !warnings.is_empty()))
    }

    #[test]
    fn the_header_first_then_the_strongest() {
        assert_eq!(find(Some(8), 64, 0..40, 3), Ok((8, false)));
        assert_eq!(find(None, 64, 0..64, 31), Ok((32, false)));
        // From the first acquired.
        assert_eq!(find(None, 64, 0..40, 8), Ok((8, true)));
        // The end of the lines is missing.
        assert_eq!(find(None, 64, 0..40, 32), Ok((32, false)));
        // All lines, and an object that is strong elsewhere.
        assert_eq!(find(None, 64, 0..64, 3), Ok((32, true)));
        // A centre that does not fit.
        assert_eq!(find(Some(0), 64, 0..64, 32), Ok((32, true)));
        assert!(find(Some(2), 4, 9..10, 9).unwrap_err().contains("outside the 4 lines"));
        assert!(find(None, 4, 0..9, 4).unwrap_err().contains("do not fit"));
    }
}
