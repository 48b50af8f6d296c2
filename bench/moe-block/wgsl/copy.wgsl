// Puts the residual stream back to what it was, so that every repetition routes alike.
//
// source, restored: arrays of VECTORS vec4f · A thread a vector: dispatch [ceil(VECTORS / 64), 1, 1].

override VECTORS: u32;

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> restored: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < VECTORS) {
    restored[id.x] = source[id.x];
  }
}
