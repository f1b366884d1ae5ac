// One pass over vectors, as units T: four numbers, or what one number of the vector is.
//
// Of the caller: the vectors; formulas(), which makes scalars of scalars in `s`; element(i, apart), which updates unit i of each
// member of a group, these lying so many units apart, and gives their part of each sum.
//
// State is [scalars | number of partial sums | partial sums of sum 0 | of sum 1 …]. A pass reads one state and writes the other.
// Every workgroup totals the sums of the pass before by itself, all in the same order, so that no kernel has to stand between.
//
// With COLUMNS vectors are several, one behind the other, each with scalars and sums of its own: [scalars and number of partial
// sums of each | partial sums of each]. Those that take no part are left as they are. HOME is where a column's scalars begin, BEGUN
// where its partial sums do.

#import index

struct Params {
    length: u32,    // numbers that are bound of each vector, or of each member of it
    chunk: u32,     // units of each workgroup
    first: u32,     // partial sum of the first workgroup
    partials: u32,  // partial sums of this pass, over all its dispatches
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> before: array<f32>;
@group(0) @binding(2) var<storage, read_write> after: array<f32>;

#ifdef COLUMNS
@group(0) @binding(3) var<uniform> which: vec4<u32>;  // bit c of x: column c takes part

// The first number of this column, in units; in numbers where columns begin between units.
var<private> base: u32;
#endif

var<workgroup> s: array<f32, SCALARS>;
var<workgroup> sums: array<f32, 256>;

// 0 where the divisor is not positive or the quotient not finite. Compared against finite bounds: fast-math compilers may drop
// tests for NaN and infinity.
fn quotient(a: f32, b: f32) -> f32 {
    var q = 0.0;
    if (b > 1e-37 && abs(a) < 3e38) {
        let c = a / b;
        if (abs(c) < 3e38) {
            q = c;
        }
    }
    return q;
}

// v, without what lies behind the vector's end.
fn within(i: u32, v: T) -> T {
#ifdef QUADS
    return select(vec4<f32>(), v, vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.length));
#else
    return v;
#endif
}

fn product(x: T, y: T) -> f32 {
#ifdef NUMBERS
    return x * y;
#else
    return dot(x, y);
#endif
}

#ifdef OVER
// v/d, 0 where d is not positive.
fn over(v: T, d: T) -> T {
    return select(T(), v / max(d, T(1e-37)), d > T(1e-37));
}
#endif
#ifdef MAGNITUDES
// |v|², at every number that has a part in it.
fn squares(v: T) -> T {
    let s = v * v;
#ifdef QUADS
#ifdef COMPLEX
    return vec4<f32>(s.xx + s.yy, s.zz + s.ww);
#else
    return s;
#endif
#endif
#ifdef PAIRS
    return s + s.yx;
#endif
#ifdef NUMBERS
    return s;
#endif
}

// The sum of magnitudes, each taken once.
fn once(m: T) -> f32 {
#ifdef QUADS
#ifdef COMPLEX
    return m.x + m.z;
#else
    return m.x + m.y + m.z + m.w;
#endif
#endif
#ifdef PAIRS
    return m.x;
#endif
#ifdef NUMBERS
    return m;
#endif
}

// max(0, 1 - t/m).
fn shrink(m: T, t: T) -> T {
    return select(T(), T(1.0) - t / max(m, T(1e-37)), m > t);
}

// min(1, t/m).
fn ball(m: T, t: T) -> T {
    return select(t / max(m, T(1e-37)), T(1.0), m <= t);
}

fn clamped(v: T, low: f32, high: f32) -> T {
    let c = min(max(v, T(low)), T(high));
#ifdef QUADS
#ifdef COMPLEX
    return vec4<f32>(c.x, 0.0, c.z, 0.0);
#else
    return c;
#endif
#endif
#ifdef PAIRS
    return vec2<f32>(c.x, 0.0);
#endif
#ifdef NUMBERS
    return c;
#endif
}
#endif

fn tree(lid: u32) {
    for (var half = 128u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
            sums[lid] += sums[lid + half];
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
#ifdef COLUMNS
    let home = wid.z * (SCALARS + 1u);
    let begun = nwg.z * (SCALARS + 1u) + wid.z * (4u * PARTIALS);
    if (((which.x >> wid.z) & 1u) == 0u) {
        if (g == 0u) {
            for (var k = lid; k < SCALARS + 1u; k += 256u) {
                after[home + k] = before[home + k];
            }
            for (var k = begun + lid; k < begun + 4u * PARTIALS; k += 256u) {
                after[k] = before[k];
            }
        }
        return;
    }
#ifdef SPLIT
    base = wid.z * p.length;
#else
    base = wid.z * (MEMBERS * p.length / UNIT);
#endif
#endif
    if (lid < SCALARS) {
        s[lid] = before[HOME + lid];
    }
    workgroupBarrier();
    let count = u32(before[HOME + SCALARS]);
#for d in TOTALS
    var total{d} = 0.0;
    for (var k = lid; k < count; k += 256u) {
        total{d} += before[BEGUN + {d} * PARTIALS + k];
    }
    sums[lid] = total{d};
    tree(lid);
    if (lid == 0u) {
        s[TOTAL_{d}] = sums[0];
    }
#endfor
    if (lid == 0u) {
        formulas();
    }
    workgroupBarrier();

    var own = vec4<f32>();
    let units = (p.length + (UNIT - 1)) / UNIT;
    let end = min((g + 1u) * p.chunk, units);
    for (var i = g * p.chunk + lid; i < end; i += 256u) {
        own += element(i, units);
    }
#for d in SUMS
    workgroupBarrier();
    sums[lid] = own[{d}];
    tree(lid);
    if (lid == 0u && g * p.chunk < units) {
        after[BEGUN + {d} * PARTIALS + p.first + g] = sums[0];
    }
#endfor
    if (g == 0u && p.first == 0u) {
        if (lid < SCALARS) {
            after[HOME + lid] = s[lid];
        }
        if (lid == 0u) {
            after[HOME + SCALARS] = f32(p.partials);
        }
    }
}
