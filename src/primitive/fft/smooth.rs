//! Lengths: which ones are smooth, and which smooth length to pad to.

/// The primes that a butterfly exists for.
const PRIMES: [usize; 6] = [2, 3, 5, 7, 11, 13];

/// Whether `n` has no prime factor above 13, so that it has kernels on every GPU.
pub fn is_smooth(n: usize) -> bool {
    let mut rest = n;
    for p in PRIMES {
        while rest > 1 && rest.is_multiple_of(p) {
            rest /= p;
        }
    }
    rest == 1
}

/// A smooth length of at least `n`, at most about 5% above the smallest one, chosen for the cost of its DFT: small
/// primes and many factors of two win. Lengths near `usize::MAX`, which no device holds, come back unchanged.
pub fn next_smooth(n: usize) -> usize {
    if n <= 2 {
        return n.max(1);
    }
    let mut candidates = Vec::new();
    odd_parts(n, 1, &PRIMES[1..], &mut |odd| {
        // The least odd · 2^k that reaches n.
        let twos = n.div_ceil(odd).checked_next_power_of_two();
        candidates.extend(twos.and_then(|twos| odd.checked_mul(twos)));
    });
    let Some(least) = candidates.iter().copied().min() else { return n };
    let most = least.saturating_add(least / 20);
    candidates.retain(|&m| m <= most);
    candidates.into_iter().min_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(a.cmp(b))).unwrap_or(n)
}

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
    for p in PRIMES {
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
        let smooth: Vec<usize> = (0..40).filter(|n| is_smooth(*n)).collect();
        let rough = [0, 17, 19, 23, 29, 31, 34, 37, 38];
        assert_eq!(smooth, (0..40).filter(|n| !rough.contains(n)).collect::<Vec<_>>());
    }

    #[test]
    fn next_smooth_is_near_and_smooth() {
        assert_eq!(next_smooth(0), 1);
        for n in 1..5000 {
            let m = next_smooth(n);
            let least = (n..).find(|m| is_smooth(*m)).unwrap_or(n);
            assert!(m >= n && is_smooth(m) && m <= least + least / 20, "{n} -> {m}");
        }
        assert_eq!(next_smooth(1009), 1024);
        assert_eq!(next_smooth(2_000_003), 2_000_003_usize.next_power_of_two().min(next_smooth(2_000_003)));
        assert!(next_smooth(usize::MAX) == usize::MAX);
    }
}
