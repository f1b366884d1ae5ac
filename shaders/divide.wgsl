// c = a / b; 0 where b is not positive or the quotient not finite, so that a broken-down iteration stands still.

struct Params {
    a: u32,
    b: u32,
    c: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> scalars: array<f32>;

@compute @workgroup_size(1)
fn main() {
    let a = scalars[p.a];
    let b = scalars[p.b];
    // Compared against finite bounds: fast-math compilers may drop tests for NaN and infinity.
    var c = 0.0;
    if (b > 1e-37 && abs(a) < 3e38) {
        let q = a / b;
        if (abs(q) < 3e38) {
            c = q;
        }
    }
    scalars[p.c] = c;
}
