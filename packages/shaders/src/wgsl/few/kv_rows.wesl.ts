/**
 * The module few/kv_rows: KV caches of `caches` sessions, as kv_cache.wesl is that of one, and attention_decode.wesl's loads
 * ahead from them. WGSL has no arrays of buffers, so each has code of its own; a switch goes around whole loops of loads,
 * which then wait for nothing.
 *
 * A cache starts with its keys, and values follow from vector VALUES_AT on. @param first binding of the first cache; the others follow
 */
export function kvRows(caches: number, first: number): string {
  const each = (text: (n: number) => string) => Array.from({ length: caches }, (_, n) => text(n)).join('\n');
  const choose = (text: (cache: string) => string) => `switch (cache) {\n${each((n) => `case ${n}u: { ${text(`cache${n}`)} }`)}\ndefault: {}\n}`;
  return `
import package::heads::{HEAD_VECTORS, KV_HEADS, VALUE_VECTORS};
import package::kv_cache::{Stored, stored};

override FIRST_ROW: u32;
override OWN_KEYS: u32;
override OWN_VALUES: u32;
override VALUES_AT: u32;
const AHEAD = 8u;
const LANES = 4u;
const TILE = 32u;

@group(0) @binding(1) var<storage, read> q: array<vec4f>;
// The cache that is read and written.
var<private> cache: u32;
${each((n) => `@group(0) @binding(${first + n}) var<storage, read_write> cache${n}: array<Stored>;`)}

fn enter_row(place: u32) -> u32 {
  cache = place;
  return FIRST_ROW + place;
}

fn own_key_vector(row: u32, head: u32, vector: u32) -> vec4f {
  return q[OWN_KEYS + (row * KV_HEADS + head) * HEAD_VECTORS + vector];
}

fn own_value_vector(row: u32, head: u32, vector: u32) -> vec4f {
  return q[OWN_VALUES + (row * KV_HEADS + head) * VALUE_VECTORS + vector];
}

fn key_place(position: u32, head: u32, vector: u32) -> u32 {
  return (position * KV_HEADS + head) * HEAD_VECTORS + vector;
}

fn value_place(position: u32, head: u32, vector: u32) -> u32 {
  return VALUES_AT + (position * KV_HEADS + head) * VALUE_VECTORS + vector;
}

fn load(at: u32) -> vec4f {
  ${choose((cache) => `return vec4f(${cache}[at]);`)}
  return vec4f(0.0);
}

fn store(at: u32, value: vec4f) {
  let rounded = stored(value);
  ${choose((cache) => `${cache}[at] = rounded;`)}
}

fn key_vector(position: u32, head: u32, vector: u32) -> vec4f {
  return load(key_place(position, head, vector));
}

fn value_vector(position: u32, head: u32, vector: u32) -> vec4f {
  return load(value_place(position, head, vector));
}

fn store_key(position: u32, head: u32, vector: u32, key: vec4f) {
  store(key_place(position, head, vector), key);
}

fn store_value(position: u32, head: u32, vector: u32, value: vec4f) {
  store(value_place(position, head, vector), value);
}

fn key_ahead(position: u32, head: u32, part: u32) -> array<vec4f, AHEAD> {
  let first = key_place(position, head, 0u);
  var ahead = array<vec4f, AHEAD>();
  ${choose((cache) => `for (var n = 0u; n < AHEAD; n++) {
    if (n * LANES < HEAD_VECTORS) {
      let vector = part + n * LANES;
      ahead[n] = select(vec4f(0.0), vec4f(${cache}[first + min(vector, HEAD_VECTORS - 1u)]), vector < HEAD_VECTORS);
    }
  }`)}
  return ahead;
}

fn values_ahead(tile: u32, i: u32, stripes: u32, last: u32, head: u32, vector: u32) -> array<vec4f, AHEAD> {
  var ahead = array<vec4f, AHEAD>();
  ${choose((cache) => `for (var n = 0u; n < AHEAD; n++) {
    if (n * stripes < TILE) {
      ahead[n] = vec4f(${cache}[value_place(min(tile + i + n * stripes, last), head, vector)]);
    }
  }`)}
  return ahead;
}
`;
}
