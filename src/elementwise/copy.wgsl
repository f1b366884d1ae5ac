// Words from a box to a box: what is in a part of a tensor, and what replaces it.
//
// Words are [number of words that are copied | words of each workgroup | axes | first word that is read | first word that is
// written | for each axis its extent, and how far apart its indices are in what is read and in what is written].

#import index

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<u32>;
@group(0) @binding(2) var<storage, read> x0: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(num_workgroups) nwg: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let first = min(group_index(wid, nwg) * words[1], words[0]);
    let end = min(first + words[1], words[0]);
    for (var i = first + lid; i < end; i += 256u) {
        var rest = i;
        var source = words[3];
        var place = words[4];
        for (var a = words[2]; a > 0u; a -= 1u) {
            let at = 2u + 3u * a;
            let k = rest % words[at];
            rest = rest / words[at];
            source += k * words[at + 1u];
            place += k * words[at + 2u];
        }
        made[place] = x0[source];
    }
}
