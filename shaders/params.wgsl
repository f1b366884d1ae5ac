// What differs between dispatches of one kernel. The last field has as many vec4 as the fused reads and the store take.

struct Params {
    count: u32,   // results of this dispatch
    first: u32,   // linear index of the first of them
    terms: u32,   // reduce: terms of each sum
    extent: u32,  // gather, scatter: extent of the axis that is read
    results: u32, // gather, scatter: extent of the axis that is written
    inner: u32,   // gather, scatter: elements beside each other
    begin: u32,   // gather, scatter: first list entry that is bound
    end: u32,     // gather, scatter: end of the list entries that are bound
    w: array<vec4<u32>, WORDS>,
}
