/** A fresh seed for each run, printed so that a failure can be run again. */
export const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`shards seed ${seed}`);

/** Random bytes, cheap and reproducible (xorshift32). */
export function randomBytes(length: number, salt = 0): Uint8Array<ArrayBuffer> {
  let state = (seed ^ (salt * 0x9e3779b9)) | 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
