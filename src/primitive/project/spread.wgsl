// y[b, ray] = Σ x[b, pixel] · weight over the pixels that fall between the neighbours of a detector pixel: the transpose of
// sample.wgsl, weight for weight.
//
// An invocation has one detector pixel of one view and BLOCK entries of the batch. It walks the lines of its two neighbours along
// the axis that they run along more, and asks each pixel between them, and a few too many, where it falls. A dispatch has a
// stretch of the results of one entry, or all of several entries.
//
// Of the caller: value(lin), the fused read of x, p.image elements for each entry of the batch; store(lin, y), p.row of them; the
// words of views, `views`, of which those from p.view_begin on and before p.view_end are bound. p.columns, p.lines, p.slices:
// extents of the image; p.detectors, p.height: of the detector; and what views.wgsl asks for.

#import index
#import fixed
#import views

// What is added to the ends of a stretch of pixels, against rounding.
const MARGIN: f32 = 0.0625;

// Where the line of an index lies across its steps, at a place along them.
fn across_at(v: View, index: f32, along_x: bool, place: f32) -> f32 {
    let a = v.n1 - index * v.d1;
    let b = v.n2 - index * v.d2;
    return (index - v.n0 - select(b, a, along_x) * place) / select(a, b, along_x);
}

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
    let line = ray / p.detectors;
    let column = i32(ray - line * p.detectors);
    let view = line / p.height;
    let row = i32(line - view * p.height);
#for c in BLOCK
    let at{c} = (o + min(entry + {c}u, entries - 1u)) * p.image;
    var sum{c} = T();
#endfor
    let word = view * 16u;
    if (word >= p.view_begin && word < p.view_end) {
        let v = view_of(word - p.view_begin);
        let index = f32(column - v.middle);
        let along_x = abs(v.n1 - index * v.d1) < abs(v.n2 - index * v.d2);
        let steps = i32(select(p.lines, p.columns, along_x));
        let wide = i32(select(p.columns, p.lines, along_x));
        let half_steps = 0.5 * (f32(steps) - 1.0);
        let half_wide = 0.5 * (f32(wide) - 1.0);
        for (var k = 0; k < steps; k += 1) {
            let place = f32(k) - half_steps;
            let a = across_at(v, index - 1.0, along_x, place) + half_wide;
            let b = across_at(v, index + 1.0, along_x, place) + half_wide;
            let first = i32(clamp(ceil(min(a, b) - MARGIN), 0.0, f32(wide)));
            let end = i32(clamp(floor(max(a, b) + MARGIN), -1.0, f32(wide) - 1.0) + 1.0);
#for c in BLOCK
            var part{c} = T();
#endfor
            for (var m = first; m < end; m += 1) {
                let i = select(m, k, along_x);
                let j = select(k, m, along_x);
                let x = 0.5 * f32(2 * i - i32(p.columns) + 1);
                let y = 0.5 * f32(2 * j - i32(p.lines) + 1);
                let depth = depth_of(v, i, j);
                let near = nearness(index_of(v, i, j, x, y, depth) - (column << 16u));
                if (near == 0.0) {
                    continue;
                }
                let weight = near * weight_of(v, depth);
                let pixel = u32(j) * p.columns + u32(i);
#ifdef VOLUME
                // The slices that fall between the rows above and below.
                let each = number(depth) / bitcast<f32>(p.rows_per_slice);
                let away = f32(row) - f32(bitcast<i32>(p.row_middle)) * (1.0 / 65536.0);
                let middle = bitcast<f32>(p.source_slice) + away * each;
                let top = f32(p.slices) - 1.0;
                let slice_first = i32(clamp(ceil(middle - each - MARGIN), 0.0, top + 1.0));
                let slice_end = i32(clamp(floor(middle + each + MARGIN), -1.0, top) + 1.0);
                for (var z = slice_first; z < slice_end; z += 1) {
                    let w = weight * nearness(row_of(z, depth) - (row << 16u));
                    let at = u32(z) * p.columns * p.lines + pixel;
#else
                {
                    let w = weight;
                    let at = pixel;
#endif
                    if (w != 0.0) {
#for c in BLOCK
                        part{c} += w * value(at{c} + at);
#endfor
                    }
                }
            }
#for c in BLOCK
            sum{c} += part{c};
#endfor
        }
    }
#for c in BLOCK
    if (entry + {c}u < entries) {
        store(lin + (entry + {c}u) * p.row, sum{c});
    }
#endfor
}
