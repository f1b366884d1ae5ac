//! Lengths: which ones are smooth, and which smooth length to pad to.

/// The primes that a butterfly exists for: one of 31 values still fits the registers of an invocation.
const PRIMES: [usize; 11] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31];

/// Those of them whose butterflies are worth padding to.
const CHEAP: usize = 6;

/// Whether `n` has no prime factor above 31, so that it has kernels on every GPU.
pub fn is_smooth(n: usize) -> bool {
    has_only(n, &PRIMES)
}

/// Whether all prime factors are among `primes`.
fn has_only(n: usize, primes: &[usize]) -> bool {
    let mut rest = n;
    for p in primes {
        while rest > 1 && rest.is_multiple_of(*p) {
            rest /= p;
        }
    }
    rest == 1
}

/// The prime factors of `n` from the least on.
pub fn prime_factors(n: usize) -> Vec<usize> {
    let (mut rest, mut p, mut all) = (n, 2, Vec::new());
    while rest > 1 {
        while p * p <= rest && !rest.is_multiple_of(p) {
            p += 1;
        }
        let factor = if p * p > rest { rest } else { p };
        all.push(factor);
        rest /= factor;
    }
    all
}

/// A length of at least `n` without prime factors above 13, at most about 5% above the smallest one, chosen for the cost of its DFT: small
/// primes and many factors of two win. Lengths near `usize::MAX`, which no device holds, come back unchanged.
pub fn next_smooth(n: usize) -> usize {
    if n <= 2 {
        return n.max(1);
    }
    let mut candidates = Vec::new();
    odd_parts(n, 1, &PRIMES[1..CHEAP], &mut |odd| {
        // The least odd · 2^k that reaches n.
        let twos = n.div_ceil(odd).checked_next_power_of_two();
        candidates.extend(twos.and_then(|twos| odd.checked_mul(twos)));
    });
    let Some(least) = candidates.iter().copied().min() else { return n };
    let most = least.saturating_add(least / 20);
    candidates.retain(|&m| m <= most);
    candidates.into_iter().min_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(a.cmp(b))).unwrap_or(n)
}

/// A length of at least `n` whose transforms are fast on the host: a multiple of 8, else of threes and at most one of 5, 7 and 11. Lengths near
/// `usize::MAX`, which no device holds, come back unchanged.
///
/// A line of 528 takes rustfft 0.33 µs on two cores, 540 = 2²·3³·5 0.45 and 544 = 2⁵·17 1.1; 1056 0.83, 1040 = 2⁴·5·13 1.6.
pub(crate) fn next_fast(n: usize) -> usize {
    let mut least = n.max(FEWEST).checked_next_power_of_two().unwrap_or(n);
    odd_parts(n.max(FEWEST), 1, &[3], &mut |threes| {
        for odd in [1, 5, 7, 11].iter().filter_map(|p| threes.checked_mul(*p)) {
            let twos = n.div_ceil(odd).max(FEWEST).checked_next_power_of_two();
            least = twos.and_then(|twos| odd.checked_mul(twos)).unwrap_or(least).min(least);
        }
    });
    least
}

/// The power of two in all lengths of [`next_fast`].
const FEWEST: usize = 8;

/// Calls `f` with every product of `primes` that an even multiple of could be the least length of at least `n`.
fn odd_parts(n: usize, odd: usize, primes: &[usize], f: &mut impl FnMut(usize)) {
    let Some((p, rest)) = primes.split_first() else { return f(odd) };
    let mut odd = odd;
    loop {
        odd_parts(n, odd, rest, f);
        // One step past n is enough: a further factor only adds to a product that reaches n already.
        match odd.checked_mul(*p) {
            Some(next) if odd < n => odd = next,
            _ => return,
        }
    }
}

/// The relative cost of a DFT of length `n`: its elements, times the work per element of each prime factor.
fn cost(n: usize) -> f64 {
    let weight = |p: usize| match p {
        2 => 1.0,
        3 => 1.15,
        5 => 1.25,
        7 => 1.45,
        _ => 1.9,
    };
    let mut rest = n;
    let mut work = 2.0;
    for p in PRIMES.into_iter().take(CHEAP) {
        while rest > 1 && rest.is_multiple_of(p) {
            rest /= p;
            work += weight(p) * (p as f64).log2();
        }
    }
    n as f64 * work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_lengths() {
        let smooth: Vec<usize> = (0..60).filter(|n| is_smooth(*n)).collect();
        let rough = [0, 37, 41, 43, 47, 53, 59];
        assert_eq!(smooth, (0..60).filter(|n| !rough.contains(n)).collect::<Vec<_>>());
        for n in 2..3000 {
            let factors = prime_factors(n);
            assert!(factors.iter().product::<usize>() == n && factors.is_sorted(), "{n}: {factors:?}");
            assert_eq!(is_smooth(n), factors.iter().all(|p| *p <= 31), "{n}");
        }
    }

    #[test]
    fn next_fast_is_near_and_fast() {
        for n in 1..5000 {
            let m = next_fast(n);
            let odd = [1, 5, 7, 11].into_iter().any(|p| m.is_multiple_of(8 * p) && has_only(m / p, &[2, 3]));
            assert!(m >= n && odd && (n < 64 || m <= n + n / 6), "{n} -> {m}");
        }
        assert_eq!([526, 1038, 214].map(next_fast), [528, 1056, 216]);
        assert!(next_fast(usize::MAX) == usize::MAX);
    }

    #[test]
    fn next_smooth_is_near_and_smooth() {
        assert_eq!(next_smooth(0), 1);
        for n in 1..5000 {
            let m = next_smooth(n);
            let least = (n..).find(|m| has_only(*m, &PRIMES[..CHEAP])).unwrap_or(n);
            assert!(m >= n && has_only(m, &PRIMES[..CHEAP]) && m <= least + least / 20, "{n} -> {m}");
        }
        assert_eq!(next_smooth(1009), 1024);
        assert_eq!(next_smooth(2_000_003), 2_000_003_usize.next_power_of_two().min(next_smooth(2_000_003)));
        assert!(next_smooth(usize::MAX) == usize::MAX);
    }
}
