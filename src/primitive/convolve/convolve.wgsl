// y[b, o, m1, m2, m3, r] = Σ w[o, i, j1, j2, j3]·x[b, i, n1, n2, n3, r] over i and the taps j, in this order, where along each
// axis n = (stride·m + step·j + offset)/up, if that is whole and below the extent of x.
//
// An invocation makes TILE neighbouring output channels of one place, so that what it reads of x serves them all.
//
// Of the caller: value(lin), the fused read of x; store(lin, y); the array `taps`, the bits of the kernel's weights; TILE, which
// divides the channels. p.n1 …: extents of x; p.m1 …: of y; p.taps1 …: taps; p.turns1 …: whole periods that leave no position
// below 0; p.behind: elements beside each other; p.plane: results of a channel; p.by_out, p.by_in: steps between the weights of
// neighbouring channels.

#import index

// The index of x at a position, or the extent where there is none.
fn source(position: i32, up: u32, period: u32, turns: u32, extent: u32) -> u32 {
    var at = position;
#ifdef PERIODIC
    if (period != 0u) {
        at = i32((u32(position) + turns) % period);
    }
#endif
    if (at < 0) {
        return extent;
    }
#ifdef UP
    let n = u32(at) / up;
    if (n * up != u32(at)) {
        return extent;
    }
    return min(n, extent);
#else
    return min(u32(at), extent);
#endif
}

fn weighed(k: u32, x: T) -> T {
#ifdef WEIGHT_COMPLEX
    let re = bitcast<f32>(taps[2u * k]);
    let im = bitcast<f32>(taps[2u * k + 1u]);
#ifdef CONJ
    return vec2<f32>(x.x * re + x.y * im, x.y * re - x.x * im);
#else
    return vec2<f32>(x.x * re - x.y * im, x.x * im + x.y * re);
#endif
#else
    return x * bitcast<f32>(taps[k]);
#endif
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    if (t * TILE < p.count) {
        let at = p.first / TILE + t;
        var rest = at / p.behind;
        let r = at - rest * p.behind;
        let m3 = rest % p.m3;
        rest = rest / p.m3;
        let m2 = rest % p.m2;
        rest = rest / p.m2;
        let m1 = rest % p.m1;
        rest = rest / p.m1;
        let tiles = p.outputs / TILE;
        let o = rest % tiles * TILE;
        let b = rest / tiles;
        let at1 = i32(p.stride1 * m1 + p.offset1);
        let at2 = i32(p.stride2 * m2 + p.offset2);
        let at3 = i32(p.stride3 * m3 + p.offset3);
        var total = array<T, TILE>();
        for (var i = 0u; i < p.inputs; i += 1u) {
            var k = o * p.by_out + i * p.by_in;
            for (var j1 = 0u; j1 < p.taps1; j1 += 1u) {
                // Sums of sums keep their digits where there are many taps.
                var plane = array<T, TILE>();
                let n1 = source(at1 + i32(p.step1 * j1), p.up1, p.period1, p.turns1, p.n1);
                for (var j2 = 0u; j2 < p.taps2; j2 += 1u) {
                    let n2 = source(at2 + i32(p.step2 * j2), p.up2, p.period2, p.turns2, p.n2);
                    let row = ((b * p.inputs + i) * p.n1 + n1) * p.n2 + n2;
                    let there = n1 < p.n1 && n2 < p.n2;
                    var line = array<T, TILE>();
                    for (var j3 = 0u; j3 < p.taps3; j3 += 1u) {
                        let n3 = source(at3 + i32(p.step3 * j3), p.up3, p.period3, p.turns3, p.n3);
                        if (there && n3 < p.n3) {
                            let x = value((row * p.n3 + n3) * p.behind + r);
                            for (var c = 0u; c < TILE; c += 1u) {
                                line[c] += weighed(k + c * p.by_out, x);
                            }
                        }
                        k += 1u;
                    }
                    for (var c = 0u; c < TILE; c += 1u) {
                        plane[c] += line[c];
                    }
                }
                for (var c = 0u; c < TILE; c += 1u) {
                    total[c] += plane[c];
                }
            }
        }
        let lin = (b * p.outputs + o) * p.plane + at % p.plane;
        for (var c = 0u; c < TILE; c += 1u) {
            store(lin + c * p.plane, total[c]);
        }
    }
}
