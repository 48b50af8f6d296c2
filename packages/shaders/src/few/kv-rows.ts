/**
 * The module few/kv_rows: KV caches of `caches` sessions, as kv_cache.wesl has that of one, which a kernel reads by number. WGSL has no arrays of
 * buffers, so each has its own code; a switch goes around whole loops of loads, which then wait for nothing.
 *
 * Keys start a cache, values follow from vector VALUES_AT on. @param first binding of the first cache; the others follow
 */
export function kvRows(caches: number, first: number): string {
  const each = (text: (n: number) => string) => Array.from({ length: caches }, (_, n) => text(n)).join('\n');
  const choose = (text: (cache: string) => string) => `switch (cache) {\n${each((n) => `case ${n}u: { ${text(`cache${n}`)} }`)}\ndefault: {}\n}`;
  return `
import package::heads::{HEAD_VECTORS, KV_HEADS, VALUE_VECTORS};
import package::kv_cache::{Stored, stored};

override VALUES_AT: u32;
const AHEAD = 8u;
const LANES = 4u;
const TILE = 32u;

${each((n) => `@group(0) @binding(${first + n}) var<storage, read_write> cache${n}: array<Stored>;`)}

fn key_place(position: u32, head: u32, vector: u32) -> u32 {
  return (position * KV_HEADS + head) * HEAD_VECTORS + vector;
}

fn value_place(position: u32, head: u32, vector: u32) -> u32 {
  return VALUES_AT + (position * KV_HEADS + head) * VALUE_VECTORS + vector;
}

fn load(cache: u32, at: u32) -> vec4f {
  ${choose((cache) => `return vec4f(${cache}[at]);`)}
  return vec4f(0.0);
}

fn store(cache: u32, at: u32, value: vec4f) {
  let rounded = stored(value);
  ${choose((cache) => `${cache}[at] = rounded;`)}
}

fn key_of_row(cache: u32, position: u32, head: u32, vector: u32) -> vec4f {
  return load(cache, key_place(position, head, vector));
}

fn value_of_row(cache: u32, position: u32, head: u32, vector: u32) -> vec4f {
  return load(cache, value_place(position, head, vector));
}

fn store_key_of_row(cache: u32, position: u32, head: u32, vector: u32, key: vec4f) {
  store(cache, key_place(position, head, vector), key);
}

fn store_value_of_row(cache: u32, position: u32, head: u32, vector: u32, value: vec4f) {
  store(cache, value_place(position, head, vector), value);
}

fn keys_of_row(cache: u32, position: u32, head: u32, part: u32) -> array<vec4f, AHEAD> {
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

fn values_of_row(cache: u32, position: u32, stripes: u32, last: u32, head: u32, vector: u32) -> array<vec4f, AHEAD> {
  var ahead = array<vec4f, AHEAD>();
  ${choose((cache) => `for (var n = 0u; n < AHEAD; n++) {
    if (n * stripes < TILE) {
      ahead[n] = vec4f(${cache}[value_place(min(position + n * stripes, last), head, vector)]);
    }
  }`)}
  return ahead;
}
`;
}
