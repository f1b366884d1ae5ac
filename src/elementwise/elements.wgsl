// Values made element by element, and stored, summed, or the largest of them looked for.
//
// Of the caller: the tensors x0, x1 …; values(i, end), those of the UNIT elements from i on, of which some may lie behind the end;
// keep(i, end, v), which stores them; gathered(before, i, end, v), which adds them, or looks for the largest.
//
// Words are [length | elements of each workgroup, a multiple of 256 | place of the first workgroup's result | 0 | numbers of the computation].

#import index
#import complex

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<MADE>;

fn number(k: u32) -> f32 {
    return bitcast<f32>(words[k]);
}

// Tests are such that NaN goes on: it is neither larger nor smaller than anything.

// |v|, where the square of neither part has to be a number.
fn magnitude(v: vec2<f32>) -> f32 {
    let a = abs(v);
    let m = max(a.x, a.y);
    if (!(m > 0.0) || m > 3.4028234e38) {
        return a.x + a.y;
    }
    let s = a / m;
    return m * sqrt(dot(s, s));
}

// v/|v|, 0 of 0.
fn direction(v: vec2<f32>) -> vec2<f32> {
    let m = magnitude(v);
    if (m > 0.0) {
        return v / m;
    }
    return v;
}

fn side(v: f32) -> f32 {
    if (v > 0.0) {
        return 1.0;
    }
    if (v < 0.0) {
        return -1.0;
    }
    return v;
}

fn root(v: f32) -> f32 {
    return select(sqrt(v), 0.0, v < 0.0);
}

// a/b, where the square of neither part of b has to be a number.
fn divided(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let m = max(abs(b.x), abs(b.y));
    let s = b / m;
    return cmul_conj(a / m, s) / dot(s, s);
}

// v, nearer to 0 by t.
fn shrunk(v: f32, t: f32) -> f32 {
    if (abs(v) <= t) {
        return 0.0;
    }
    return select(v - t, v + t, v < 0.0);
}

fn shrunk_complex(v: vec2<f32>, t: f32) -> vec2<f32> {
    let m = magnitude(v);
    if (m <= t) {
        return vec2<f32>();
    }
    return v * ((m - t) / m);
}

#ifdef STORED
#else
// A number as a whole one, in the same order; NaN above all.
fn key(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0xffffffffu;
    }
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

var<workgroup> parts: array<MADE, 256>;
#endif

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let g = group_index(wid, nwg);
    let first = min(g * words[1], words[0]);
    let end = min(first + words[1], words[0]);
#ifdef STORED
#else
    var part = MADE();
#endif
    for (var i = first + lid * UNIT; i < end; i += AHEAD * 256u * UNIT) {
#for q in AHEAD_COUNT
        let i{q} = i + {q}u * 256u * UNIT;
        var v{q} = V();
        if (i{q} < end) {
            v{q} = values(i{q}, end);
        }
#endfor
#for q in AHEAD_COUNT
#ifdef STORED
        if (i{q} < end) {
            keep(i{q}, end, v{q});
        }
#else
        part = gathered(part, i{q}, end, v{q});
#endif
#endfor
    }
#ifdef STORED
}
#else
    parts[lid] = part;
    for (var half = 128u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lid < half) {
#ifdef SUMMED
            parts[lid] += parts[lid + half];
#else
            parts[lid] = max(parts[lid], parts[lid + half]);
#endif
        }
    }
    if (lid == 0u && first < words[0]) {
        made[words[2] + g] = parts[0];
    }
}
#endif
