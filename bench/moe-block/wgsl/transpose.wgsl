// out = x^T, with zeros where x has no more rows.
//
// x: [ROWS, COLUMNS] f32 · out: [COLUMNS, ROWS_PADDED] f32, written
// A workgroup of 256 a tile of 16 by 16: dispatch [ceil(COLUMNS / 16), ceil(ROWS_PADDED / 16), 1].

override ROWS: u32;
override ROWS_PADDED: u32;
override COLUMNS: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

const TILE = 16u;
// One more column keeps the transposed reads off one memory bank.
var<workgroup> tile: array<f32, TILE * (TILE + 1u)>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = workgroup.y * TILE + local.y;
  let column = workgroup.x * TILE + local.x;
  var value = 0.0;
  if (row < ROWS && column < COLUMNS) {
    value = x[row * COLUMNS + column];
  }
  tile[local.y * (TILE + 1u) + local.x] = value;
  workgroupBarrier();
  let out_row = workgroup.x * TILE + local.y;
  let out_column = workgroup.y * TILE + local.x;
  if (out_row < COLUMNS && out_column < ROWS_PADDED) {
    out[out_row * ROWS_PADDED + out_column] = tile[local.x * (TILE + 1u) + local.y];
  }
}
