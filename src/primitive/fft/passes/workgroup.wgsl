// A pass in workgroup memory: whole lines of SIZE elements, one stage after the other, exchanged between the invocations.
//
// A workgroup has a tile: COLUMNS adjacent lines of OUTER outer steps. In stage s an invocation holds ROUNDS_s butterflies of
// radix RADIX_s in registers; it reads all their inputs before the barrier after which anything is overwritten, so one buffer
// serves all exchanges. Where an exchange is SPLIT the real parts go through it first and the imaginary ones then, so that it has half
// the size. The stages of a transform follow the same Stockham rule as passes do. In a filter the weights stand in the middle of the
// stages, and the transform back behind them.
//
// A line of PRIME length is a filter of all but its first element, in another order (prime.rs), with factors of its own. Where it is
// SORTED, what is loaded and stored in order is moved to its places in workgroup memory.
//
// Of a line that is half zero the first stage takes only the other half, TAKEN, and of one whose results are not all stored the last
// stage makes those that are GIVEN.
//
// Where results are added up, a workgroup goes through the terms of its tile's sums one after the other.
//
// g numbers the butterflies of a stage in the tile: column c, line b of the stage, outer step o. Lanes without a butterfly repeat
// the last one; only what they would write is held back.
//
// BUTTERFLY_s_u twists x{s}_{u}_0, x{s}_{u}_1 … by the stage's part of `twiddle` and makes y{s}_{u}_0, y{s}_{u}_1 … of them. Its text is
// generated line by line: drivers neither unroll the loops that reach them nor keep arrays that a loop indexes in registers.

#import pass
#ifdef EXCHANGED

#ifdef SPLIT
var<workgroup> fft_lines: array<f32, MEMORY>;
#else
var<workgroup> fft_lines: array<vec2<f32>, MEMORY>;
#endif

// Where element n of the tile lies: a gap after every row of the banks spreads what is read together over them.
fn fft_place(n: u32) -> u32 {
#ifdef PADDED
    return n + (n >> BANK_BITS);
#else
    return n;
#endif
}
#endif
#ifdef FIRST
#else

// v times w^e of the step. The table has the low powers, then every 512th.
fn fft_twisted(v: vec2<f32>, e: u32) -> vec2<f32> {
    return fft_mul(v, fft_mul(twiddle[POWERS + (e & 511u)], twiddle[POWERS + 512u + (e >> 9u)]));
}
#endif

#ifdef PRIME

// Where in the line element e of the convolution comes from, and where it goes.
fn fft_source(e: u32) -> u32 {
#ifdef SORTED
    return e + 1u;
#else
    return u32(twiddle[ORDER + e].x);
#endif
}

fn fft_target(e: u32) -> u32 {
#ifdef SORTED
    return e + 1u;
#else
    return u32(twiddle[ORDER + e].y);
#endif
}
#endif

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let group = wid.y * nwg.x + wid.x;
    if (group >= fft.groups) {
        return;
    }
    let tile = group / fft.tiles;
    let outer0 = tile * OUTER;
    let column0 = (group - tile * fft.tiles) * COLUMNS;
#ifdef FOLDED
#for s in STAGES
#ifdef GIVES_{s}
#for u in ROUNDS_{s}
#for q in RADIX_{s}
#ifdef GIVEN_{s}_{q}
    var sum{u}_{q} = vec2<f32>();
#endif
#endfor
#endfor
#endif
#ifdef PRIME
#ifdef WEIGHS_{s}
#for u in ROUNDS_{s}
    var origin{u} = vec2<f32>();
#endfor
#endif
#endif
#endfor
    for (var t = 0u; t < fft.terms; t += 1u) {
#endif
#for s in STAGES

    // Stage {s}.
#for u in ROUNDS_{s}
#ifdef PARTIAL_{s}_{u}
    let g{s}_{u} = min(lid + {u}u * INVOCATIONS, LAST_{s});
#else
    let g{s}_{u} = lid + {u}u * INVOCATIONS;
#endif
#ifdef ALONG_{s}
    let b{s}_{u} = g{s}_{u} % LINES_{s};
    let rest{s}_{u} = g{s}_{u} / LINES_{s};
#ifdef SEVERAL_OUTER
    let c{s}_{u} = rest{s}_{u} % COLUMNS;
    let o{s}_{u} = rest{s}_{u} / COLUMNS;
#else
    let c{s}_{u} = rest{s}_{u};
    let o{s}_{u} = 0u;
#endif
#else
    let c{s}_{u} = g{s}_{u} % COLUMNS;
    let rest{s}_{u} = g{s}_{u} / COLUMNS;
#ifdef SEVERAL_OUTER
    let b{s}_{u} = rest{s}_{u} % LINES_{s};
    let o{s}_{u} = rest{s}_{u} / LINES_{s};
#else
    let b{s}_{u} = rest{s}_{u};
    let o{s}_{u} = 0u;
#endif
#endif
#ifdef TWISTED_{s}
    let m{s}_{u} = b{s}_{u} % DONE_{s};
#endif
#ifdef END_{s}
    // Here it also counts where in the array the lane is.
    let column{s}_{u} = column0 + c{s}_{u};
    let outer{s}_{u} = outer0 + o{s}_{u};
#ifdef FOLDED
    let base{s}_{u} = fft_outer(outer{s}_{u}, t) * fft.total;
#else
    let base{s}_{u} = (fft.batch0 + outer{s}_{u}) * fft.total;
#endif
    var inside{s}_{u} = true;
#ifdef PARTIAL_{s}_{u}
    inside{s}_{u} = inside{s}_{u} && lid < PARTIAL_{s}_{u};
#endif
#ifdef SEVERAL_COLUMNS
    inside{s}_{u} = inside{s}_{u} && column{s}_{u} < fft.columns;
#endif
#ifdef SEVERAL_OUTER
    inside{s}_{u} = inside{s}_{u} && outer{s}_{u} < fft.outer;
#endif
#endif
#ifdef TAKES_{s}
#ifdef PRIME
    let first{u} = fft_first(column{s}_{u});
#else
    let first{u} = fft_first(column{s}_{u}) + b{s}_{u} * fft.columns;
#endif
#for q in RADIX_{s}
#ifdef TAKEN_{s}_{q}
    var x{s}_{u}_{q} = vec2<f32>();
#endif
#endfor
    if (inside{s}_{u}) {
#ifdef FIRST
#for q in RADIX_{s}
#ifdef PRIME
        x{s}_{u}_{q} = fft_take(base{s}_{u}, first{u} + fft_source(b{s}_{u} + {q}u * LINES_{s}) * fft.columns);
#else
#ifdef TAKEN_{s}_{q}
        x{s}_{u}_{q} = fft_take(base{s}_{u}, first{u} + {q}u * (LINES_{s} * fft.columns));
#endif
#endif
#endfor
#else
        // Beyond the columns there are no powers to read, either.
        let k = fft_twist(column{s}_{u});
#for q in RADIX_{s}
        let v{q} = fft_take(base{s}_{u}, first{u} + {q}u * (LINES_{s} * fft.columns));
        x{s}_{u}_{q} = fft_twisted(v{q}, k * (b{s}_{u} + {q}u * LINES_{s}));
#endfor
#endif
    }
#else
#ifdef GATHERS_{s}
    let r{s}_{u} = (o{s}_{u} * SIZE + u32(twiddle[ORDER + b{s}_{u}].y)) * COLUMNS + c{s}_{u};
#else
    let r{s}_{u} = (o{s}_{u} * SIZE + b{s}_{u}) * COLUMNS + c{s}_{u};
#endif
    let read{s}_{u} = fft_place(r{s}_{u});
#endif
#endfor
#ifdef TAKES_{s}
#else
#for u in ROUNDS_{s-1}
#ifdef SCATTERS_{s-1}
    let n{s-1}_{u} = u32(twiddle[ORDER + b{s-1}_{u}].x);
#else
#ifdef TWISTED_{s-1}
    let n{s-1}_{u} = (b{s-1}_{u} - m{s-1}_{u}) * STRIDE_{s-1} + m{s-1}_{u};
#else
    let n{s-1}_{u} = b{s-1}_{u} * STRIDE_{s-1};
#endif
#endif
    let w{s-1}_{u} = (o{s-1}_{u} * SIZE + n{s-1}_{u}) * COLUMNS + c{s-1}_{u};
    let written{s-1}_{u} = fft_place(w{s-1}_{u});
#endfor
#for part in PARTS
#ifdef WAITS_{s}_{part}
    // What the exchange before left may still be read.
    workgroupBarrier();
#endif
#for u in ROUNDS_{s-1}
#ifdef PARTIAL_{s-1}_{u}
    if (lid < PARTIAL_{s-1}_{u}) {
#else
    {
#endif
#for q in RADIX_{s-1}
#ifdef WEIGHS_{s-1}
        let v{q} = z{s-1}_{u}_{q};
#else
        let v{q} = y{s-1}_{u}_{q};
#endif
#ifdef WRITE_{s-1}_{q}
        let to{q} = written{s-1}_{u} + WRITE_{s-1}_{q};
#else
        let to{q} = fft_place(w{s-1}_{u} + {q}u * (DONE_{s-1} * COLUMNS));
#endif
#ifdef SPLIT
        fft_lines[to{q}] = v{q}.PART_{part};
#else
        fft_lines[to{q}] = v{q};
#endif
#endfor
    }
#endfor
    workgroupBarrier();
#for u in ROUNDS_{s}
#for q in RADIX_{s}
#ifdef READ_{s}_{q}
    let x{s}_{u}_{q}_{part} = fft_lines[read{s}_{u} + READ_{s}_{q}];
#else
    let x{s}_{u}_{q}_{part} = fft_lines[fft_place(r{s}_{u} + {q}u * (LINES_{s} * COLUMNS))];
#endif
#endfor
#endfor
#endfor
#for u in ROUNDS_{s}
#for q in RADIX_{s}
#ifdef SPLIT
    let x{s}_{u}_{q} = vec2<f32>(x{s}_{u}_{q}_0, x{s}_{u}_{q}_1);
#else
    let x{s}_{u}_{q} = x{s}_{u}_{q}_0;
#endif
#endfor
#endfor
#endif
#for u in ROUNDS_{s}
    BUTTERFLY_{s}_{u}
#ifdef WEIGHS_{s}
    // The coefficients are there, and the way back begins.
#for q in RADIX_{s}
    var z{s}_{u}_{q} = vec2<f32>();
#endfor
    if (inside{s}_{u}) {
#ifdef PRIME
#for q in RADIX_{s}
        z{s}_{u}_{q} = fft_mul(y{s}_{u}_{q}, twiddle[FACTORS + b{s}_{u} + {q}u * LINES_{s}]).yx;
#endfor
        if (b{s}_{u} == 0u) {
            // The first element is part of all results, and all are part of the first result. Both parts are exchanged until they
            // leave.
            let first = fft_take(base{s}_{u}, fft_first(column{s}_{u}));
            let all = (first + y{s}_{u}_0).yx;
            z{s}_{u}_0 += first.yx;
#ifdef FOLDED
            origin{u} += fft_term(base{s}_{u}, fft_start(column{s}_{u}), all);
            if (t + 1u == fft.terms) {
                fft_leave(outer{s}_{u}, fft_start(column{s}_{u}), origin{u});
            }
#else
            fft_give(base{s}_{u}, fft_start(column{s}_{u}), all);
#endif
        }
#else
        let at = column{s}_{u} + b{s}_{u} * fft.columns;
#for q in RADIX_{s}
        z{s}_{u}_{q} = fft_weigh(base{s}_{u}, at + {q}u * (LINES_{s} * fft.columns), y{s}_{u}_{q});
#endfor
#endif
    }
#endif
#endfor
#ifdef GIVES_{s}
#for u in ROUNDS_{s}
    if (inside{s}_{u}) {
        let stride = fft_stride();
#ifdef PRIME
        let start = fft_start(column{s}_{u});
#for q in RADIX_{s}
        let to{q} = start + fft_target(b{s}_{u} + {q}u * LINES_{s}) * stride;
#endfor
#else
        let start = fft_start(column{s}_{u}) + b{s}_{u} * stride;
#for q in RADIX_{s}
#ifdef GIVEN_{s}_{q}
        let to{q} = start + {q}u * (LINES_{s} * stride);
#endif
#endfor
#endif
#ifdef FOLDED
#for q in RADIX_{s}
#ifdef GIVEN_{s}_{q}
        sum{u}_{q} += fft_term(base{s}_{u}, to{q}, y{s}_{u}_{q});
#endif
#endfor
        if (t + 1u == fft.terms) {
#for q in RADIX_{s}
#ifdef GIVEN_{s}_{q}
            fft_leave(outer{s}_{u}, to{q}, sum{u}_{q});
#endif
#endfor
        }
#else
#for q in RADIX_{s}
#ifdef GIVEN_{s}_{q}
        fft_give(base{s}_{u}, to{q}, y{s}_{u}_{q});
#endif
#endfor
#endif
    }
#endfor
#endif
#endfor
#ifdef FOLDED
    }
#endif
}
