import { encodeSteps, GATHER_BYTES, packGathers, planarFormat, planeGathers, repack, type RepackPiece, type ShaderContext } from '@gatefold/shaders';
import { GatefoldError } from '../errors.ts';

/** A part of a shard's bytes and the planar matrix that it belongs to. */
export interface UploadJob {
  /** Raw GGUF blocks: bytes [byteOffset, byteOffset + byteLength) of the shard. */
  readonly byteOffset: number;
  readonly byteLength: number;
  /** ggml type number. */
  readonly format: number;
  /** Weights in these bytes, and the place of the first within the matrix; both whole blocks. */
  readonly elements: number;
  readonly firstElement: number;
  /** Weights of the whole matrix, which planes are laid out for. */
  readonly totalElements: number;
  readonly target: GPUBuffer;
  /** First word of the matrix in the target. */
  readonly targetWord: number;
}

/** An upload would read beyond the shard or write beyond the buffer. */
export class UploadRangeError extends GatefoldError {
  override readonly name = 'UploadRangeError';
  constructor(readonly problem: string, readonly job: UploadJob) {
    super('upload-range', `upload: ${problem}`, { byteOffset: job.byteOffset, byteLength: job.byteLength, format: job.format });
  }
}

export interface UploaderOptions {
  /** Bytes of one staging buffer; default 4 MiB. */
  readonly slotBytes?: number;
  /** Staging buffers, and so flights at a time; default 4. */
  readonly slots?: number;
}

/** One staging buffer, what to gather from it, and when the GPU is done with both. */
interface Slot {
  readonly staging: GPUBuffer;
  readonly gathers: GPUBuffer;
  idle: Promise<unknown>;
}

interface StagedPiece extends RepackPiece {
  readonly target: GPUBuffer;
}

/** Pieces that share a flight at most: bounds the gathers' buffer. */
const PIECES_A_FLIGHT = 32;
/** Bindings start at multiples of this many bytes: the default of minStorageBufferOffsetAlignment, and its largest value. */
const BINDING_ALIGNMENT = 256;
/** No type has more planes. */
const MOST_PLANES = BINDING_ALIGNMENT / GATHER_BYTES;
/** A staging buffer holds a block of any type. */
const LEAST_SLOT_BYTES = 256;

/**
 * Brings raw GGUF blocks to the GPU through a bounded ring of staging buffers, where a compute shader repacks them into
 * planar matrices. Owns the ring and nothing else.
 */
export class Uploader {
  readonly #slotBytes: number;
  readonly #slotCount: number;
  readonly #slots: Slot[] = [];
  #next = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(
    readonly device: GPUDevice,
    readonly shaders: ShaderContext,
    { slotBytes = 4 << 20, slots = 4 }: UploaderOptions = {},
  ) {
    this.#slotBytes = Math.max(LEAST_SLOT_BYTES, Math.floor(slotBytes / 4) * 4);
    this.#slotCount = slots;
  }

  /** GPU bytes of the ring; at most as many are in flight. */
  get bytes(): number {
    return this.#slots.reduce((sum, { staging, gathers }) => sum + staging.size + gathers.size, 0);
  }

  /**
   * Copies and repacks parts of `bytes`; resolves when all is submitted: whatever is submitted later sees the weights,
   * and `bytes` may be reused. Waits while the ring is full. Uploads run in the order of the calls.
   * Rejects with `UploadRangeError`, and with `KernelArgumentError` for parts of blocks.
   */
  upload(bytes: Uint8Array<ArrayBuffer>, jobs: readonly UploadJob[]): Promise<void> {
    const done = this.#last.then(() => this.#upload(bytes, jobs));
    this.#last = done.catch(() => {});
    return done;
  }

  dispose(): void {
    for (const { staging, gathers } of this.#slots) {
      staging.destroy();
      gathers.destroy();
    }
    this.#slots.length = 0;
  }

  async #upload(bytes: Uint8Array<ArrayBuffer>, jobs: readonly UploadJob[]): Promise<void> {
    for (const job of jobs) checkJob(bytes, job);
    let slot: Slot | undefined;
    let used = 0;
    let pieces: StagedPiece[] = [];
    const flush = async (): Promise<void> => {
      if (slot && pieces.length > 0) await this.#submit(slot, pieces);
      slot = undefined;
      used = 0;
      pieces = [];
    };
    for (const job of jobs) {
      const { blockSize, blockBytes } = planarFormat(job.format);
      const blocks = job.byteLength / blockBytes;
      for (let first = 0; first < blocks; ) {
        if (this.#slotBytes - used < blockBytes || pieces.length === PIECES_A_FLIGHT) await flush();
        slot ??= await this.#nextSlot();
        const count = Math.min(blocks - first, Math.floor((this.#slotBytes - used) / blockBytes));
        const from = job.byteOffset + first * blockBytes;
        this.#write(slot.staging, used, bytes.subarray(from, from + count * blockBytes));
        pieces.push({
          ...job,
          stagingByte: used,
          elements: count * blockSize,
          firstElement: job.firstElement + first * blockSize,
        });
        used += Math.ceil((count * blockBytes) / 4) * 4;
        first += count;
      }
    }
    await flush();
  }

  /** The next buffer of the ring, once the GPU is done with it. */
  async #nextSlot(): Promise<Slot> {
    const index = this.#next;
    this.#next = (index + 1) % this.#slotCount;
    const known = this.#slots[index];
    if (known) {
      await known.idle;
      return known;
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const slot: Slot = {
      staging: this.device.createBuffer({ label: `upload.staging.${index}`, size: this.#slotBytes, usage }),
      // In the worst case each piece has a target of its own, whose gathers start at a binding's alignment.
      gathers: this.device.createBuffer({ label: `upload.gathers.${index}`, size: PIECES_A_FLIGHT * MOST_PLANES * GATHER_BYTES, usage }),
      idle: Promise.resolve(),
    };
    this.#slots[index] = slot;
    return slot;
  }

  /** writeBuffer takes whole words only: an odd end goes in a word of its own. */
  #write(buffer: GPUBuffer, offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    const whole = Math.floor(bytes.length / 4) * 4;
    this.device.queue.writeBuffer(buffer, offset, bytes, 0, whole);
    if (whole === bytes.length) return;
    const end = new Uint8Array(4);
    end.set(bytes.subarray(whole));
    this.device.queue.writeBuffer(buffer, offset + whole, end);
  }

  /** One dispatch for each target buffer. */
  async #submit(slot: Slot, pieces: readonly StagedPiece[]): Promise<void> {
    const { queue } = this.device;
    const targets = [...new Set(pieces.map(({ target }) => target))];
    let used = 0;
    const steps = targets.map((target) => {
      const gathers = pieces.filter((piece) => piece.target === target).flatMap(planeGathers);
      const packed = { buffer: slot.gathers, offset: used, size: gathers.length * GATHER_BYTES };
      queue.writeBuffer(slot.gathers, used, packGathers(gathers));
      used += Math.ceil(packed.size / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;
      return repack(this.shaders, { label: 'repack', staging: { buffer: slot.staging }, gathers, packed, destination: { buffer: target } });
    });
    const encoder = this.device.createCommandEncoder({ label: 'upload' });
    const pass = encoder.beginComputePass({ label: 'repack' });
    encodeSteps(pass, await Promise.all(steps), { tokens: 0, context: 0 });
    pass.end();
    queue.submit([encoder.finish()]);
    // A lost device is told elsewhere (`device.lost`).
    slot.idle = queue.onSubmittedWorkDone().catch(() => undefined);
  }
}

function checkJob(bytes: Uint8Array, job: UploadJob): void {
  const { byteOffset, byteLength, format, elements, target } = job;
  const { name, blockSize, blockBytes } = planarFormat(format);
  if (byteOffset < 0 || byteOffset + byteLength > bytes.length) {
    throw new UploadRangeError(`bytes ${byteOffset} to ${byteOffset + byteLength} of a shard of ${bytes.length}`, job);
  }
  if (byteLength !== (elements / blockSize) * blockBytes) {
    throw new UploadRangeError(`${byteLength} bytes for ${elements} ${name} weights`, job);
  }
  for (const { word, skip, bytes: length } of planeGathers({ ...job, stagingByte: 0 })) {
    const end = word * 4 + skip + length;
    if (end > target.size) throw new UploadRangeError(`writes to byte ${end} of a buffer of ${target.size} ("${target.label}")`, job);
  }
}
