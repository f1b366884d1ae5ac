// A pass without workgroup memory: one butterfly for each invocation, in registers. Lanes run along the columns, so that
// accesses coalesce.
//
// BUTTERFLY_s makes y{s}_0, y{s}_1 … of x{s}_0, x{s}_1 …. Its text is generated line by line: drivers neither unroll the loops that
// reach them nor keep arrays that a loop indexes in registers.

#import pass

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let group = wid.y * nwg.x + wid.x;
    let id = group * INVOCATIONS + lid;
    if (group >= fft.groups || id >= fft.outer * fft.columns) {
        return;
    }
    let o = id / fft.columns;
    let column = id - o * fft.columns;
#ifdef FOLDED
#else
    let base = (fft.batch0 + o) * fft.total;
#endif
    let first = fft_first(column);
#ifdef FIRST
#else
    let k = fft_twist(column);
#endif
#ifdef FOLDED
    let start = fft_start(column);
    let stride = fft_stride();
#for q in RADIX_COUNT
    var sum{q} = vec2<f32>();
#endfor
    for (var t = 0u; t < fft.terms; t += 1u) {
    let base = fft_outer(o, t) * fft.total;
#endif
#for q in RADIX_COUNT
    let x0_{q} = fft_take(base, first + {q}u * fft.columns);
#endfor
    BUTTERFLY_0
#ifdef FILTER
#for q in RADIX_COUNT
    let x1_{q} = fft_weigh(base, column + {q}u * fft.columns, y0_{q});
#endfor
    BUTTERFLY_1
#endif
#ifdef FOLDED
#for q in RADIX_COUNT
#ifdef FILTER
    sum{q} += fft_term(base, start + {q}u * stride, y1_{q});
#else
    sum{q} += fft_term(base, start + {q}u * stride, y0_{q});
#endif
#endfor
    }
#for q in RADIX_COUNT
    fft_leave(o, start + {q}u * stride, sum{q});
#endfor
#else
    let start = fft_start(column);
    let stride = fft_stride();
#for q in RADIX_COUNT
#ifdef FILTER
    fft_give(base, start + {q}u * stride, y1_{q});
#else
    fft_give(base, start + {q}u * stride, y0_{q});
#endif
#endfor
#endif
}
