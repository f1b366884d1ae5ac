// What all passes share. A pass transforms the middle axis of a C-order array (outer, N, inner), or does one step of that:
// N = length · lines, and the elements of one line lie `columns` = lines · inner elements apart when loaded.
//
// Of the caller: load(lin), store(lin, v), `fft`, `twiddle`; of a filter also middle(lin, v), the weighted coefficient; where
// results are added up also term(lin, v), the weighted result, and store is given sums.
//
// The Stockham rule: line j of a step of radix RADIX, after `done` = the product of the radices before, takes the elements
// j + q·N/RADIX, twists them by w^(kq), k = j mod done, and leaves its DFT at (j − k)·RADIX + k + q·done. The first pass also
// shifts what it takes, the last one also shifts and scales what it gives.

struct FftParams {
    outer: u32,     // transforms along the outer axis in this dispatch
    batch0: u32,    // the first of them
    inner: u32,     // adjacent columns of the array
    columns: u32,   // (N / length) · inner: adjacent lines of this pass
    total: u32,     // N · inner: one outer step
    done: u32,      // product of the lengths of the passes before
    tiles: u32,     // workgroups along `columns`
    groups: u32,    // workgroups in all; the last row of a folded dispatch holds more
    shift_in: u32,  // rotation of the input, in elements (times inner)
    shift_out: u32, // rotation of the output
    swap_in: u32,   // 1: exchange re and im on load, the inverse DFT together with swap_out
    swap_out: u32,
    scale: f32,     // factor on the last store
    terms: u32,     // results that are added up; 1 where they are not
    behind: u32,    // outer steps behind those of the terms
    pad0: u32,
}

fn fft_mul(a: vec2<f32>, w: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * w.x - a.y * w.y, a.x * w.y + a.y * w.x);
}

fn fft_swap(v: vec2<f32>, swap: u32) -> vec2<f32> {
    return select(v, v.yx, swap != 0u);
}

// p mod total for p < 2·total: below total the difference wraps around to a large number.
fn fft_wrap(p: u32, total: u32) -> u32 {
    return min(p, p - total);
}

// Where the elements of a column's line start, within the outer step.
fn fft_first(column: u32) -> u32 {
#ifdef FIRST
    return column + fft.shift_in;
#else
    return column;
#endif
}

// An element of the input.
fn fft_take(base: u32, position: u32) -> vec2<f32> {
#ifdef FIRST
    return fft_swap(load(base + fft_wrap(position, fft.total)), fft.swap_in);
#else
    return load(base + position);
#endif
}

#ifdef FIRST
#else
// k of a column's line.
fn fft_twist(column: u32) -> u32 {
    let j = column / fft.inner;
#ifdef LAST
    return j;
#else
    return j % fft.done;
#endif
}

#endif
// Where the results of a column's line start, and how far they lie apart.
fn fft_start(column: u32) -> u32 {
#ifdef LAST
    return column + fft.shift_out;
#else
    let j = column / fft.inner;
    let i = column - j * fft.inner;
#ifdef FIRST
    return j * RADIX * fft.inner + i;
#else
    let k = j % fft.done;
    return ((j - k) * RADIX + k) * fft.inner + i;
#endif
#endif
}

fn fft_stride() -> u32 {
#ifdef LAST
    return fft.columns;
#else
#ifdef FIRST
    return fft.inner;
#else
    return fft.done * fft.inner;
#endif
#endif
}

#ifdef FOLDED
#else
// Leaves a result.
fn fft_give(base: u32, position: u32, v: vec2<f32>) {
#ifdef LAST
    store(base + fft_wrap(position, fft.total), fft_swap(v * fft.scale, fft.swap_out));
#else
    store(base + position, v);
#endif
}
#endif
#ifdef FOLDED

// The outer step of term t of sum o, of (front, terms, behind).
fn fft_outer(o: u32, t: u32) -> u32 {
    let front = o / fft.behind;
    return (front * fft.terms + t) * fft.behind + (o - front * fft.behind);
}

// A result, scaled and weighted, to be added up.
fn fft_term(base: u32, position: u32, v: vec2<f32>) -> vec2<f32> {
    return term(base + fft_wrap(position, fft.total), fft_swap(v * fft.scale, fft.swap_out));
}

// Leaves a sum.
fn fft_leave(o: u32, position: u32, v: vec2<f32>) {
    store(o * fft.total + fft_wrap(position, fft.total), v);
}
#endif
#ifdef FILTER

// A coefficient, weighted and made ready for the transform of the other sign.
fn fft_weigh(base: u32, position: u32, v: vec2<f32>) -> vec2<f32> {
    let place = base + fft_wrap(position + fft.shift_out, fft.total);
    return fft_swap(middle(place, fft_swap(v, fft.swap_in)), fft.swap_out);
}
#endif
