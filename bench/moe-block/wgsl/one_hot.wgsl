// One-hot masks of the router's choice, summed over the k choices (which differ), and the same with the gate's weights.
//
// ids: [tokens, TOP_K] u32 · weights: [tokens, TOP_K] f32 · mask, gates: [tokens, EXPERTS] f32, written
// A thread an element: dispatch [ceil(TOKENS * EXPERTS / 64), 1, 1].

override TOKENS: u32;
override EXPERTS: u32;
override TOP_K: u32;

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= TOKENS * EXPERTS) {
    return;
  }
  let token = id.x / EXPERTS;
  let expert = id.x % EXPERTS;
  var hot = 0.0;
  var gate = 0.0;
  for (var j = 0u; j < TOP_K; j++) {
    let chosen = f32(ids[token * TOP_K + j] == expert);
    hot += chosen;
    gate += chosen * weights[token * TOP_K + j];
  }
  mask[id.x] = hot;
  gates[id.x] = gate;
}
