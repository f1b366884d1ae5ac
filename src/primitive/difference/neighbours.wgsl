// Neighbours along an axis. Differences ahead count from its other end: n from there, and steps that are negative (they wrap).

// The place of entry i along an axis.
fn place(i: u32, stride: u32, extent: u32) -> u32 {
    let n = i / stride % extent;
#ifdef AHEAD
    return extent - 1u - n;
#else
    return n;
#endif
}

// With the sign that differences have.
fn signed(v: T) -> T {
#ifdef AHEAD
    return -v;
#else
    return v;
#endif
}

// The value at `at`, place n of its axis, minus the one before it.
fn difference(at: u32, n: u32, step: u32, extent: u32) -> T {
    if (n > 0u) {
        return value(at) - value(at - step);
    }
#ifdef CIRCULAR
    return value(at) - value(at + step * (extent - 1u));
#else
#ifdef ZERO
    return value(at);
#else
    return T();
#endif
#endif
}
