// y[b, ray] = Σ x[b, pixel] · weight over the pixels that a ray touches, by Joseph's method.
//
// An invocation has one ray and BLOCK entries of the batch, and walks the ray from pixel to pixel along the axis that it runs
// along more. A dispatch has a stretch of the rays of one entry, or all rays of several entries.
//
// Of the caller: value(lin), the fused read of x, p.image elements for each entry of the batch; store(lin, y), p.row of them; the
// words of rays as rays.rs writes them, `rays`, of which those from p.begin on and before p.end are bound.
// p.columns, p.lines, p.slices: extents of the image; p.detectors, p.height: of the detector.

#import index
#import fixed

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let t = group_index(wid, nwg) * 256u + lid;
    let width = min(p.count, p.row);
    let entries = p.count / width;
    let block = t / width;
    let entry = block * u32(BLOCK);
    if (entry >= entries) {
        return;
    }
    let lin = p.first + t - block * width;
    let o = lin / p.row;
    let ray = lin - o * p.row;
#ifdef VOLUME
    let line = ray / p.detectors;
    let view = line / p.height;
    let row = i32(line - view * p.height);
    let record = (view * p.detectors + ray - line * p.detectors) * 8u;
#else
    let record = ray * 4u;
#endif
#for c in BLOCK
    // Beyond the last entry the last is read again and not stored.
    let at{c} = (o + min(entry + {c}u, entries - 1u)) * p.image;
    var sum{c} = T();
#endfor
    if (record >= p.begin && record < p.end) {
        let w = record - p.begin;
        let u_start = bitcast<i32>(rays[w]);
        let u_slope = bitcast<i32>(rays[w + 1u]);
        let steps = rays[w + 2u];
        let length = bitcast<f32>(rays[w + 3u]);
        let last = i32((steps >> 15u) & 0x7fffu);
        let along_x = (steps >> 30u) != 0u;
        let step = select(p.columns, 1u, along_x);
        let across = select(1u, p.columns, along_x);
        let n = i32(select(p.columns, p.lines, along_x));
        var k = i32(steps & 0x7fffu);
        // Sums of sums of a few: those of many lose digits.
        while (k < last) {
            let end = min(k + 32, last);
#for c in BLOCK
            var part{c} = T();
#endfor
            while (k < end) {
                let u = position(u_start, u_slope, k);
                let j = u >> 16u;
                let high = rest(u);
                // Where j is -1 it wraps, and only what lies behind is read.
                let cell = u32(k) * step + bitcast<u32>(j) * across;
#ifdef VOLUME
                let slices = span(bitcast<i32>(rays[w + 6u]), bitcast<i32>(rays[w + 7u]), k);
                let above = position(bitcast<i32>(rays[w + 4u]), bitcast<i32>(rays[w + 5u]), k) + rows_of(row, slices);
                for (var b = 0; b < 2; b += 1) {
                    let z = (above >> 16u) + b;
                    if (z < 0 || z >= i32(p.slices)) {
                        continue;
                    }
                    let v = select(1.0 - rest(above), rest(above), b == 1);
                    let slice = u32(z) * p.columns * p.lines;
#else
                {
                    let v = 1.0;
                    let slice = 0u;
#endif
                    if (j >= 0) {
#for c in BLOCK
                        part{c} += (v * (1.0 - high)) * value(at{c} + slice + cell);
#endfor
                    }
                    if (j + 1 < n) {
#for c in BLOCK
                        part{c} += (v * high) * value(at{c} + slice + cell + across);
#endfor
                    }
                }
                k += 1;
            }
#for c in BLOCK
            sum{c} += part{c};
#endfor
        }
#for c in BLOCK
        sum{c} *= length;
#endfor
    }
#for c in BLOCK
    if (entry + {c}u < entries) {
        store(lin + (entry + {c}u) * p.row, sum{c});
    }
#endfor
}
