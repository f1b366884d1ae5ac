// The singular values of a block of a series: vectors w of its shorter side are turned in pairs until they are at right angles to each
// other (Hestenes, J. SIAM 6:51, 1958; the order is that of a tournament: Brent and Luk, SIAM J. Sci. Stat. Comput. 6:69, 1985). Their
// lengths σ are then the singular values, and with A the block
//
//     A with singular values less by t  =  Σ (A wᴴ/σ²) (1 − t/σ) w   over σ > t.
//
// A workgroup has a block, eight invocations a pair. Words are [first block | end | rows | columns | axes | t, then for each axis its
// extent, the extent of a block, where its second block begins or 0, how many blocks there are, and the extent of the longest one].

#import index

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<M>;
@group(0) @binding(2) var<storage, read> x: array<T>;

var<workgroup> w: array<vec2<f32>, ROOM>;
var<workgroup> parts: array<vec4<f32>, 64>;
var<workgroup> line: array<vec2<f32>, 64>;
var<workgroup> turned_by: array<u32, TEAMS>;
var<workgroup> moved: u32;

// Vectors at a smaller angle than this to a right one are at one, but for rounding.
const RIGHT: f32 = 2e-6;

// A vector of this part of the block's square is rounding.
const NOTHING: f32 = 1e-12;

fn cmul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// a times the conjugate of b.
fn across(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x + a.y * b.y, a.y * b.x - a.x * b.y);
}

// Where column c of block b stands among all columns; the highest number if it has fewer.
fn column(b: u32, c: u32) -> u32 {
    var block = b;
    var rest = c;
    var place = 0u;
    var stride = 1u;
    var inside = true;
    for (var a = words[4]; a > 0u; a -= 1u) {
        let at = HEADER + 5u * (a - 1u);
        let extent = words[at];
        let length = words[at + 1u];
        let offset = words[at + 2u];
        let count = words[at + 3u];
        let longest = words[at + 4u];
        let k = block % count;
        block = block / count;
        let i = rest % longest;
        rest = rest / longest;
        var start = k * length;
        var end = start + length;
        if (offset > 0u) {
            end = offset + k * length;
            start = select(end - length, 0u, k == 0u);
        }
        inside = inside && i < min(end, extent) - start;
        place += (start + i) * stride;
        stride *= extent;
    }
    return select(0xffffffffu, place, inside);
}

fn element(row: u32, place: u32) -> vec2<f32> {
    if (place == 0xffffffffu) {
        return vec2<f32>();
    }
#ifdef COMPLEX
    return x[row * words[3] + place];
#else
    return vec2<f32>(x[row * words[3] + place], 0.0);
#endif
}

// Entry k of vector i of the block: of its rows, or where these are more than its columns of its columns.
fn entry(b: u32, i: u32, k: u32, turned: bool) -> vec2<f32> {
    return element(select(i, k, turned), column(b, select(k, i, turned)));
}

// The sum over a team's invocations, in their order.
fn team_sum(lid: u32) -> vec4<f32> {
    let first = lid - lid % LANES;
    var sum = vec4<f32>();
    for (var l = 0u; l < LANES; l++) {
        sum += parts[first + l];
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let b = words[0] + group_index(wid, nwg);
    let lives = b < words[1];
    let rows = words[2];
    var columns = 1u;
    for (var a = 0u; a < words[4]; a++) {
        columns *= words[HEADER + 5u * a + 4u];
    }
    let turned = rows > columns;
    let short = min(rows, columns);
    let long = max(rows, columns);
    let lane = lid % LANES;
    let team = lid / LANES;

    // The block is taken as a part of its largest number, so that no square overflows.
    var largest = 1e-30;
    for (var e = lid; e < short * long; e += 64u) {
        var v = vec2<f32>();
        if (lives) {
            v = entry(b, e / long, e % long, turned);
        }
        w[e] = v;
        largest = max(largest, max(abs(v.x), abs(v.y)));
    }
    parts[lid] = vec4<f32>(largest, 0.0, 0.0, 0.0);
    workgroupBarrier();
    for (var l = 0u; l < 64u; l++) {
        largest = max(largest, parts[l].x);
    }
    workgroupBarrier();
    var own = 0.0;
    for (var e = lid; e < short * long; e += 64u) {
        let v = w[e] / largest;
        w[e] = v;
        own += dot(v, v);
    }
    parts[lid] = vec4<f32>(own, 0.0, 0.0, 0.0);
    workgroupBarrier();
    var square = 0.0;
    for (var l = 0u; l < 64u; l++) {
        square += parts[l].x;
    }
    workgroupBarrier();

    // In a round every vector meets another one; of an odd number one rests.
    let players = short + short % 2u;
    for (var sweep = 0u; sweep < SWEEPS; sweep++) {
        if (lane == 0u) {
            turned_by[team] = 0u;
        }
        workgroupBarrier();
        for (var round = 0u; round + 1u < players; round++) {
            for (var first = 0u; first < players / 2u; first += TEAMS) {
                let pair = first + team;
                let turn = players - 1u;
                let i = select((round + pair) % turn, turn, pair == 0u) * long;
                let j = ((round + turn - pair % turn) % turn) * long;
                let plays = pair < players / 2u && i < short * long && j < short * long;
                var sums = vec4<f32>();
                if (plays) {
                    for (var k = lane; k < long; k += LANES) {
                        let u = w[i + k];
                        let v = w[j + k];
                        sums += vec4<f32>(dot(u, u), dot(v, v), across(u, v));
                    }
                }
                parts[lid] = sums;
                workgroupBarrier();
                let all = team_sum(lid);
                let product = length(all.zw);
                let counts = min(all.x, all.y) > NOTHING * 0.1 * square;
                if (plays && counts && product > RIGHT * sqrt(all.x) * sqrt(all.y)) {
                    let phase = all.zw / product;
                    let ratio = (all.y - all.x) / (2.0 * product);
                    let size = 1.0 / (abs(ratio) + sqrt(1.0 + ratio * ratio));
                    let tangent = select(size, -size, ratio < 0.0);
                    let c = 1.0 / sqrt(1.0 + tangent * tangent);
                    let s = c * tangent;
                    for (var k = lane; k < long; k += LANES) {
                        let u = w[i + k];
                        let v = cmul(phase, w[j + k]);
                        w[i + k] = c * u - s * v;
                        w[j + k] = s * u + c * v;
                    }
                    if (lane == 0u) {
                        turned_by[team] = 1u;
                    }
                }
                workgroupBarrier();
            }
        }
        workgroupBarrier();
        if (lid == 0u) {
            moved = 0u;
            for (var t = 0u; t < TEAMS; t++) {
                moved = max(moved, turned_by[t]);
            }
        }
        if (workgroupUniformLoad(&moved) == 0u) {
            break;
        }
    }

    // Singular values, and what each vector is times.
    let less = bitcast<f32>(words[5]) / largest;
    for (var first = 0u; first < short; first += TEAMS) {
        let i = first + team;
        var sum = 0.0;
        if (i < short) {
            for (var k = lane; k < long; k += LANES) {
                let v = w[i * long + k];
                sum += dot(v, v);
            }
        }
        workgroupBarrier();
        parts[lid] = vec4<f32>(sum, 0.0, 0.0, 0.0);
        workgroupBarrier();
        if (i < short && lane == 0u) {
            let own = team_sum(lid).x;
            let sigma = sqrt(own);
            // What is NaN stays it.
            let falls = sigma <= less || own <= NOTHING * square;
            line[i] = vec2<f32>(select((1.0 - less / sigma) / own, 0.0, falls), sigma);
        }
    }
    workgroupBarrier();
#ifdef NORMS
    if (lid == 0u && lives) {
        var norm = 0.0;
        for (var i = 0u; i < short; i++) {
            norm += line[i].y;
        }
        made[b] = largest * norm;
    }
#else
    var factor = 0.0;
    if (lid < short) {
        factor = line[lid].x;
    }
    workgroupBarrier();
    for (var r = 0u; r < short; r++) {
        var product = vec2<f32>();
        for (var first = 0u; first < long; first += 64u) {
            let count = min(long - first, 64u);
            var v = vec2<f32>();
            if (lid < count && lives) {
                v = entry(b, r, first + lid, turned);
            }
            parts[lid] = vec4<f32>(v, 0.0, 0.0);
            workgroupBarrier();
            if (lid < short) {
                for (var k = 0u; k < count; k++) {
                    product += across(parts[k].xy, w[lid * long + first + k]);
                }
            }
            workgroupBarrier();
        }
        line[lid] = factor * product;
        workgroupBarrier();
        for (var k = lid; k < long; k += 64u) {
            var v = vec2<f32>();
            for (var i = 0u; i < short; i++) {
                v += cmul(line[i], w[i * long + k]);
            }
            let place = column(b, select(k, r, turned));
            if (lives && place != 0xffffffffu) {
                let at = select(r, k, turned) * words[3] + place;
#ifdef COMPLEX
                made[at] = v;
#else
                made[at] = v.x;
#endif
            }
        }
        workgroupBarrier();
    }
#endif
}
