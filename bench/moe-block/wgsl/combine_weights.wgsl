// The dense tensors that the einsums multiply with: for token s, expert e and place c in its queue,
// combine[s, e, c] = gates[s, e] * one_hot(locations[s, e])[c] and dispatch[e, c, s] = (combine[s, e, c] != 0).
//
// mask, gates, locations: [TOKENS, EXPERTS] f32
// combine: [TOKENS, SLOTS] f32 · dispatch: [SLOTS, TOKENS_PADDED] f32, both written
// SLOTS = EXPERTS * CAPACITY, padded to what the GEMM reads at a time; so are tokens.
// A thread an element of dispatch: dispatch [ceil(TOKENS_PADDED / 64), SLOTS, 1].

override TOKENS: u32;
override TOKENS_PADDED: u32;
override EXPERTS: u32;
override CAPACITY: u32;
override SLOTS: u32;

@group(0) @binding(0) var<storage, read> mask: array<f32>;
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> locations: array<f32>;
@group(0) @binding(3) var<storage, read_write> combine: array<f32>;
@group(0) @binding(4) var<storage, read_write> dispatch: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let token = id.x;
  let slot = id.y;
  if (token >= TOKENS_PADDED) {
    return;
  }
  let expert = slot / CAPACITY;
  var hot = 0.0;
  var gate = 0.0;
  if (token < TOKENS && expert < EXPERTS) {
    let at = token * EXPERTS + expert;
    hot = mask[at] * f32(locations[at] == f32(slot % CAPACITY));
    gate = gates[at] * hot;
  }
  dispatch[slot * TOKENS_PADDED + token] = hot;
  if (token < TOKENS) {
    combine[token * SLOTS + slot] = gate;
  }
}
