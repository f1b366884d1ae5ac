//! How a length splits into radices.

use super::super::smooth::prime_factors;

/// Splits `n` into the fewest factors of at most `most` each, then with the least largest one, then the most equal;
/// descending. Empty for `n = 1`, `None` where a prime factor exceeds `most`.
pub(super) fn factors(n: usize, most: usize) -> Option<Vec<usize>> {
    if n <= 1 {
        return Some(Vec::new());
    }
    let divisors: Vec<usize> = (2..=most.min(n)).filter(|d| n.is_multiple_of(*d)).collect();
    // Every factor is at least 2, so no list is longer than the bits of n.
    (1..=usize::BITS as usize).find_map(|count| {
        let mut best: Option<Vec<usize>> = None;
        descend(n, count, &divisors, &mut Vec::new(), &mut best);
        best
    })
}

/// The same with primes above `most` as factors of their own, in front.
pub(super) fn factors_of_any(n: usize, most: usize) -> Vec<usize> {
    let mut all: Vec<usize> = prime_factors(n).into_iter().filter(|p| *p > most).rev().collect();
    all.extend(factors(n / all.iter().product::<usize>(), most).unwrap_or_default());
    all
}

/// All descending lists of `count` divisors with product `n`; keeps the one that compares least.
fn descend(n: usize, count: usize, divisors: &[usize], list: &mut Vec<usize>, best: &mut Option<Vec<usize>>) {
    if count == 0 {
        // Lexicographically least: least largest factor, then least second, which is the most equal split.
        if n == 1 && best.as_ref().is_none_or(|b| *list < *b) {
            *best = Some(list.clone());
        }
        return;
    }
    for (i, &d) in divisors.iter().enumerate() {
        let reach = d.checked_pow(count as u32).is_none_or(|reach| reach >= n);
        if reach && n.is_multiple_of(d) {
            list.push(d);
            descend(n / d, count - 1, &divisors[..=i], list, best);
            list.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::smooth::is_smooth;
    use super::*;

    #[test]
    fn fewest_then_most_equal_factors() {
        let of = |n, most| factors(n, most).unwrap_or_default();
        assert!(of(1, 16).is_empty());
        assert_eq!(of(512, 16), [8, 8, 8]);
        assert_eq!(of(1024, 16), [16, 8, 8]);
        assert_eq!(of(2048, 16), [16, 16, 8]);
        assert_eq!(of(1000, 16), [10, 10, 10]);
        assert_eq!(of(60, 16), [10, 6]);
        assert!(of(17, 16).is_empty());
        assert_eq!(factors(17, 16), None);
        assert_eq!(factors_of_any(1020, 16), [17, 10, 6]);
        assert_eq!(factors_of_any(4092, 16), [31, 12, 11]);
        assert_eq!(factors_of_any(17 * 31, 16), [31, 17]);
        for n in (1..5000).filter(|n| is_smooth(*n)) {
            let list = factors_of_any(n, 16);
            assert_eq!(list.iter().product::<usize>(), n);
            assert!(list.iter().all(|r| *r <= 31) && list.is_sorted_by(|a, b| a >= b));
            assert!(factors(n, 16).is_none_or(|all| all == list));
        }
    }
}
