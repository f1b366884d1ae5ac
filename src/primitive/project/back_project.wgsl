// x[b, pixel] = Σ y[b, ray] · weight over the rays that touch a pixel: the transpose of project.wgsl, weight for weight.
//
// An invocation has one pixel and BLOCK entries of the batch. In each view it finds the detector indices whose rays may touch the
// pixel, a few too many, and asks each ray where it lies. A dispatch has a stretch of the pixels of one entry, or all pixels of
// several entries.
//
// Of the caller: value(lin), the fused read of y, p.data elements for each entry of the batch; store(lin, x), p.row of them; the
// words of rays, `rays`, of which those from p.begin on and before p.end are bound, and of views, `views`, likewise from
// p.view_begin on and before p.view_end. p.columns, p.lines, p.slices: extents of the image; p.detectors, p.height: of the detector.

#import index
#import fixed

// What is added to the ends of a footprint, in detector pixels, against rounding.
const MARGIN: f32 = 0.0625;

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
    let pixel = lin - o * p.row;
    let line = pixel / p.columns;
    let i = i32(pixel - line * p.columns);
    let z = i32(line / p.lines);
    let j = i32(line) - z * i32(p.lines);
    let x = 0.5 * f32(2 * i - i32(p.columns) + 1);
    let y = 0.5 * f32(2 * j - i32(p.lines) + 1);
    let most = f32(p.detectors) - 1.0;
#for c in BLOCK
    let at{c} = (o + min(entry + {c}u, entries - 1u)) * p.data;
    var sum{c} = T();
#endfor
    for (var word = p.view_begin; word < p.view_end; word += 16u) {
        let w = word - p.view_begin;
        let view = word / 16u;
        let n1 = bitcast<f32>(views[w]);
        let n2 = bitcast<f32>(views[w + 1u]);
        let d1 = bitcast<f32>(views[w + 2u]);
        let d2 = bitcast<f32>(views[w + 3u]);
        let d = 1.0 + d1 * x + d2 * y;
        let s = (bitcast<f32>(views[w + 4u]) + n1 * x + n2 * y) / d;
        // A ray that touches the pixel passes within one pixel of it, along a row or along a column.
        let reach = max(abs(n1 - s * d1), abs(n2 - s * d2)) / (d - max(abs(d1), abs(d2))) + MARGIN;
        let index = s + f32(bitcast<i32>(views[w + 6u]));
        let first = u32(clamp(ceil(index - reach), 0.0, most + 1.0));
        let end = u32(clamp(floor(index + reach), -1.0, most) + 1.0);
#for c in BLOCK
        var part{c} = T();
#endfor
        for (var c = first; c < end; c += 1u) {
            let record = (view * p.detectors + c) * RAY;
            if (record < p.begin || record >= p.end) {
                continue;
            }
            let r = record - p.begin;
            let steps = rays[r + 2u];
            let along_x = (steps >> 30u) != 0u;
            let k = select(j, i, along_x);
            if (k < i32(steps & 0x7fffu) || k >= i32((steps >> 15u) & 0x7fffu)) {
                continue;
            }
            let u = position(bitcast<i32>(rays[r]), bitcast<i32>(rays[r + 1u]), k);
            let weight = nearness(u - (select(i, j, along_x) << 16u)) * bitcast<f32>(rays[r + 3u]);
            if (weight == 0.0) {
                continue;
            }
#ifdef VOLUME
            let slices = span(bitcast<i32>(rays[r + 6u]), bitcast<i32>(rays[r + 7u]), k);
            let start = position(bitcast<i32>(rays[r + 4u]), bitcast<i32>(rays[r + 5u]), k);
            // The rows whose rays pass within a slice.
            let each = f32(slices) * (1.0 / 268435456.0);
            let middle = (f32(z) - f32(start) * (1.0 / 65536.0)) / each;
            let rows = 1.0 / each + MARGIN;
            let top = f32(p.height) - 1.0;
            let row_first = i32(clamp(ceil(middle - rows), 0.0, top + 1.0));
            let row_end = i32(clamp(floor(middle + rows), -1.0, top) + 1.0);
            for (var row = row_first; row < row_end; row += 1) {
                let v = weight * nearness(start + rows_of(row, slices) - (z << 16u));
                let ray = (view * p.height + u32(row)) * p.detectors + c;
#else
            {
                let v = weight;
                let ray = view * p.detectors + c;
#endif
                if (v != 0.0) {
#for c in BLOCK
                    part{c} += v * value(at{c} + ray);
#endfor
                }
            }
        }
#for c in BLOCK
        sum{c} += part{c};
#endfor
    }
#for c in BLOCK
    if (entry + {c}u < entries) {
        store(lin + (entry + {c}u) * p.row, sum{c});
    }
#endfor
}
