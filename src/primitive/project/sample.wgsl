// x[b, pixel] = Σ over views of the value at the place that the pixel falls onto, between detector pixels, times share/D².
//
// An invocation has one pixel and BLOCK entries of the batch. A dispatch has a stretch of the pixels of one entry, or all pixels
// of several entries.
//
// Of the caller: value(lin), the fused read of y, p.data elements for each entry of the batch; store(lin, x), p.row of them; the
// words of views, `views`, of which those from p.view_begin on and before p.view_end are bound. p.columns, p.lines: extents of the
// image; p.detectors, p.height: of the detector; and what views.wgsl asks for.

#import index
#import fixed
#import views

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
    let n = i32(p.detectors);
#for c in BLOCK
    let at{c} = (o + min(entry + {c}u, entries - 1u)) * p.data;
    var sum{c} = T();
#endfor
    for (var word = p.view_begin; word < p.view_end; word += 16u) {
        let v = view_of(word - p.view_begin);
        let depth = depth_of(v, i, j);
        let s = index_of(v, i, j, x, y, depth);
        let column = s >> 16u;
        let weight = weight_of(v, depth);
        let high = rest(s) * weight;
        let low = (1.0 - rest(s)) * weight;
#ifdef VOLUME
        let above = row_of(z, depth);
        for (var b = 0; b < 2; b += 1) {
            let row = (above >> 16u) + b;
            if (row < 0 || row >= i32(p.height)) {
                continue;
            }
            let r = select(1.0 - rest(above), rest(above), b == 1);
            let at = ((word / 16u) * p.height + u32(row)) * p.detectors + bitcast<u32>(column);
#else
        {
            let r = 1.0;
            let at = (word / 16u) * p.detectors + bitcast<u32>(column);
#endif
            if (column >= 0 && column < n) {
#for c in BLOCK
                sum{c} += (r * low) * value(at{c} + at);
#endfor
            }
            if (column + 1 >= 0 && column + 1 < n) {
#for c in BLOCK
                sum{c} += (r * high) * value(at{c} + at + 1u);
#endfor
            }
        }
    }
#for c in BLOCK
    if (entry + {c}u < entries) {
        store(lin + (entry + {c}u) * p.row, sum{c});
    }
#endfor
}
