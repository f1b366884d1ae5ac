// A pass in workgroup memory: whole lines of SIZE elements, one stage after the other, exchanged between the invocations.
//
// A workgroup has a tile: COLUMNS adjacent lines of OUTER outer steps. In stage s an invocation holds ROUNDS_s butterflies of
// radix RADIX_s in registers; it reads all their inputs before the barrier after which anything is overwritten, so one buffer
// serves all exchanges. The stages of a transform follow the same Stockham rule as passes do. In a filter the weights stand in the
// middle of the stages, and the transform back behind them.
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

var<workgroup> fft_lines: array<vec2<f32>, MEMORY>;

// Where element n of the tile lies: a gap after every 16 spreads what is read together over the banks.
fn fft_place(n: u32) -> u32 {
#ifdef PADDED
    return n + (n >> 4u);
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
    var sum{u}_{q} = vec2<f32>();
#endfor
#endfor
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
    let first{u} = fft_first(column{s}_{u}) + b{s}_{u} * fft.columns;
#for q in RADIX_{s}
    var x{s}_{u}_{q} = vec2<f32>();
#endfor
    if (inside{s}_{u}) {
#ifdef FIRST
#for q in RADIX_{s}
        x{s}_{u}_{q} = fft_take(base{s}_{u}, first{u} + {q}u * (LINES_{s} * fft.columns));
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
    let r{s}_{u} = (o{s}_{u} * SIZE + b{s}_{u}) * COLUMNS + c{s}_{u};
    let read{s}_{u} = fft_place(r{s}_{u});
#for q in RADIX_{s}
#ifdef READ_{s}_{q}
    let x{s}_{u}_{q} = fft_lines[read{s}_{u} + READ_{s}_{q}];
#else
    let x{s}_{u}_{q} = fft_lines[fft_place(r{s}_{u} + {q}u * (LINES_{s} * COLUMNS))];
#endif
#endfor
#endif
#endfor
#for u in ROUNDS_{s}
    BUTTERFLY_{s}_{u}
#ifdef WEIGHS_{s}
    // The coefficients are there, and the way back begins.
#for q in RADIX_{s}
    var z{s}_{u}_{q} = vec2<f32>();
#endfor
    if (inside{s}_{u}) {
        let at = column{s}_{u} + b{s}_{u} * fft.columns;
#for q in RADIX_{s}
        z{s}_{u}_{q} = fft_weigh(base{s}_{u}, at + {q}u * (LINES_{s} * fft.columns), y{s}_{u}_{q});
#endfor
    }
#endif
#endfor
#ifdef GIVES_{s}
#for u in ROUNDS_{s}
    if (inside{s}_{u}) {
        let stride = fft_stride();
        let start = fft_start(column{s}_{u}) + b{s}_{u} * stride;
#ifdef FOLDED
#for q in RADIX_{s}
        sum{u}_{q} += fft_term(base{s}_{u}, start + {q}u * (LINES_{s} * stride), y{s}_{u}_{q});
#endfor
        if (t + 1u == fft.terms) {
#for q in RADIX_{s}
            fft_leave(outer{s}_{u}, start + {q}u * (LINES_{s} * stride), sum{u}_{q});
#endfor
        }
#else
#for q in RADIX_{s}
        fft_give(base{s}_{u}, start + {q}u * (LINES_{s} * stride), y{s}_{u}_{q});
#endfor
#endif
    }
#endfor
#else
#ifdef TAKES_{s}
#ifdef FOLDED
    // The term before may still be read.
    workgroupBarrier();
#endif
#else
    workgroupBarrier();
#endif
#for u in ROUNDS_{s}
#ifdef TWISTED_{s}
    let n{s}_{u} = (b{s}_{u} - m{s}_{u}) * STRIDE_{s} + m{s}_{u};
#else
    let n{s}_{u} = b{s}_{u} * STRIDE_{s};
#endif
    let w{s}_{u} = (o{s}_{u} * SIZE + n{s}_{u}) * COLUMNS + c{s}_{u};
    let written{s}_{u} = fft_place(w{s}_{u});
#ifdef PARTIAL_{s}_{u}
    if (lid < PARTIAL_{s}_{u}) {
#else
    {
#endif
#for q in RADIX_{s}
#ifdef WEIGHS_{s}
        let v{q} = z{s}_{u}_{q};
#else
        let v{q} = y{s}_{u}_{q};
#endif
#ifdef WRITE_{s}_{q}
        fft_lines[written{s}_{u} + WRITE_{s}_{q}] = v{q};
#else
        fft_lines[fft_place(w{s}_{u} + {q}u * (DONE_{s} * COLUMNS))] = v{q};
#endif
#endfor
    }
#endfor
    workgroupBarrier();
#endif
#endfor
#ifdef FOLDED
    }
#endif
}
