// Shared by all FFT passes. A pass transforms the middle axis of a C-order array (outer, N, inner), or does one step of
// that: N = length · lines, and the elements of one line lie `columns` = lines · inner elements apart when loaded.

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
    pad0: u32,
    pad1: u32,
    pad2: u32,
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
