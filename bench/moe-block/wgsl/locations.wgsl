// Where each token stands in its experts' queues: the sum of the mask over the tokens before it.
//
// mask: [TOKENS, EXPERTS] f32 · locations: [TOKENS, EXPERTS] f32, written
// A workgroup an expert, which scans 256 tokens at a time (Hillis and Steele 1986): dispatch [EXPERTS, 1, 1].

override TOKENS: u32;
override EXPERTS: u32;

@group(0) @binding(0) var<storage, read> mask: array<f32>;
@group(0) @binding(1) var<storage, read_write> locations: array<f32>;

const THREADS = 256u;
var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let expert = workgroup.x;
  var before = 0.0;
  for (var first = 0u; first < TOKENS; first += THREADS) {
    let token = first + lane;
    var hot = 0.0;
    if (token < TOKENS) {
      hot = mask[token * EXPERTS + expert];
    }
    sums[lane] = hot;
    workgroupBarrier();
    for (var step = 1u; step < THREADS; step *= 2u) {
      var added = 0.0;
      if (lane >= step) {
        added = sums[lane - step];
      }
      workgroupBarrier();
      sums[lane] += added;
      workgroupBarrier();
    }
    if (token < TOKENS) {
      locations[token * EXPERTS + expert] = before + sums[lane] - hot;
    }
    before += sums[THREADS - 1u];
    workgroupBarrier();
  }
}
