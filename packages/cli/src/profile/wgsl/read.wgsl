// Reads a whole buffer once, as fast as the adapter can: its memory bandwidth.
//
// data: array of vec4u · sink: one word, written only for a sum that does not occur, so that no read can be left out
// Each thread reads READS vectors, a workgroup's width apart: dispatch [vectors / (256 * READS), 1, 1].

override READS: u32;

@group(0) @binding(0) var<storage, read> data: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> sink: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = vec4u(0u);
  for (var n = 0u; n < READS; n++) {
    sum += data[(workgroup.x * READS + n) * 256u + lane];
  }
  if (all(sum == vec4u(0x9e3779b9u, 1u, 2u, 3u))) {
    sink[0] = sum.x;
  }
}
