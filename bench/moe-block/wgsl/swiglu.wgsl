// hidden = silu(gate) * up, of one expert's rows.
//
// gate_up: [rows, 2 * WIDTH] f32, gate first · hidden: [rows, WIDTH] f32, written
// A thread an element: dispatch [ceil(WIDTH / 64), rows, 1].

override WIDTH: u32;

@group(0) @binding(0) var<storage, read> gate_up: array<f32>;
@group(0) @binding(1) var<storage, read_write> hidden: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= WIDTH) {
    return;
  }
  let gate = gate_up[id.y * 2u * WIDTH + id.x];
  let up = gate_up[id.y * 2u * WIDTH + WIDTH + id.x];
  hidden[id.y * WIDTH + id.x] = gate / (1.0 + exp(min(-gate, 87.0))) * up;
}
