// How pixels fall onto a view: words as pixels.rs writes them, to the last bit.

struct View {
    // What columns and rows add to N and to D, from the middle of the image on; N there.
    n1: f32,
    n2: f32,
    d1: f32,
    d2: f32,
    n0: f32,
    share: f32,
    middle: i32,
    n: vec3<u32>,
    d: vec3<i32>,
    more: vec3<i32>,
}

fn view_of(w: u32) -> View {
    return View(
        bitcast<f32>(views[w]),
        bitcast<f32>(views[w + 1u]),
        bitcast<f32>(views[w + 2u]),
        bitcast<f32>(views[w + 3u]),
        bitcast<f32>(views[w + 4u]),
        bitcast<f32>(views[w + 5u]),
        bitcast<i32>(views[w + 6u]),
        vec3<u32>(views[w + 7u], views[w + 8u], views[w + 9u]),
        vec3<i32>(bitcast<i32>(views[w + 10u]), bitcast<i32>(views[w + 12u]), bitcast<i32>(views[w + 14u])),
        vec3<i32>(bitcast<i32>(views[w + 11u]), bitcast<i32>(views[w + 13u]), bitcast<i32>(views[w + 15u])),
    );
}

// D of a pixel, in 2^-22.
fn depth_of(v: View, i: i32, j: i32) -> i32 {
    return v.d.x + i * v.d.y + j * v.d.z + ((v.more.x + i * v.more.y + j * v.more.z + 8192) >> 14u);
}

fn number(depth: i32) -> f32 {
    return f32(depth) * (1.0 / 4194304.0);
}

// n/d in 2^-16, rounded down, of the lowest 32 bits of n and of an estimate that is off by less than 2^31/d.
fn quotient(n: u32, d: i32, estimate: f32) -> i32 {
    let e = i32(floor(clamp(estimate, -32000.0, 32000.0) * 65536.0));
    let left = bitcast<i32>(n - bitcast<u32>(e) * bitcast<u32>(d));
    // Divided without signs: some translators name the division of each type alike.
    let below = left < 0;
    let q = i32((u32(abs(left)) + select(0u, u32(d) - 1u, below)) / u32(d));
    return e + select(q, -q, below);
}

// The detector index that a pixel falls onto, in 2^-16; x and y: its column and row from the middle of the image.
fn index_of(v: View, i: i32, j: i32, x: f32, y: f32, depth: i32) -> i32 {
    let n = v.n.x + bitcast<u32>(i) * v.n.y + bitcast<u32>(j) * v.n.z;
    return quotient(n, depth, (v.n0 + v.n1 * x + v.n2 * y) / number(depth)) + (v.middle << 16u);
}

// The row that a slice falls onto, in 2^-16.
fn row_of(z: i32, depth: i32) -> i32 {
    let estimate = (f32(z) - bitcast<f32>(p.source_slice)) * bitcast<f32>(p.rows_per_slice) / number(depth);
    return quotient(p.row_n0 + bitcast<u32>(z) * p.row_n1, depth, estimate) + bitcast<i32>(p.row_middle);
}

// The weight of a pixel: 1/D² of the view's share.
fn weight_of(v: View, depth: i32) -> f32 {
    let d = number(depth);
    return v.share / (d * d);
}
