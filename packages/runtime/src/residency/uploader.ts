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

/** Host memory that a flight is written to: raw blocks, then what to gather from them. */
interface Slot {
  readonly upload: GPUBuffer;
  /** Settles when the GPU has taken the last flight and the host may write the next. */
  mapped: Promise<unknown>;
}

interface StagedPiece extends RepackPiece {
  readonly target: GPUBuffer;
}

/** A flight in the making. */
interface Flight {
  readonly slot: Slot;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly pieces: StagedPiece[];
  /** Bytes of raw blocks so far. */
  used: number;
}

/** Pieces that share a flight at most: bounds the gathers. */
const PIECES_A_FLIGHT = 32;
/** Bindings start at multiples of this many bytes: the default of minStorageBufferOffsetAlignment, and its largest value. */
const BINDING_ALIGNMENT = 256;
/** No type has more planes. */
const MOST_PLANES = BINDING_ALIGNMENT / GATHER_BYTES;
/** In the worst case each piece has a target of its own, whose gathers start at a binding's alignment. */
const MOST_GATHER_BYTES = PIECES_A_FLIGHT * MOST_PLANES * GATHER_BYTES;
/** A staging buffer holds a block of any type. */
const LEAST_SLOT_BYTES = 256;

/**
 * Brings raw GGUF blocks to the GPU through a bounded ring of mapped staging buffers, and there into planar matrices by
 * a compute shader. Mapped memory is written directly, which browsers take several times as fast as `writeBuffer`
 * (docs/storage.md). A mapped buffer can only be copied from, so what arrives passes through one buffer that shaders
 * read. Owns these buffers and nothing else.
 */
export class Uploader {
  readonly #slotBytes: number;
  readonly #slotCount: number;
  readonly #slots: Slot[] = [];
  #arrived: GPUBuffer | undefined;
  #next = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(
    readonly device: GPUDevice,
    readonly shaders: ShaderContext,
    { slotBytes = 4 << 20, slots = 4 }: UploaderOptions = {},
  ) {
    this.#slotBytes = aligned(Math.max(LEAST_SLOT_BYTES, slotBytes), BINDING_ALIGNMENT);
    this.#slotCount = slots;
  }

  /** Bytes of all its buffers; no more are in flight. */
  get bytes(): number {
    return this.#slots.reduce((sum, { upload }) => sum + upload.size, this.#arrived?.size ?? 0);
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

  /** Frees the buffers; the next upload makes new ones. */
  dispose(): void {
    for (const { upload } of this.#slots) upload.destroy();
    this.#slots.length = 0;
    this.#arrived?.destroy();
    this.#arrived = undefined;
  }

  async #upload(bytes: Uint8Array<ArrayBuffer>, jobs: readonly UploadJob[]): Promise<void> {
    for (const job of jobs) checkJob(bytes, job);
    let flight: Flight | undefined;
    for (const job of jobs) {
      const { blockSize, blockBytes } = planarFormat(job.format);
      const blocks = job.byteLength / blockBytes;
      for (let first = 0; first < blocks; ) {
        if (flight && (this.#slotBytes - flight.used < blockBytes || flight.pieces.length === PIECES_A_FLIGHT)) {
          await this.#submit(flight);
          flight = undefined;
        }
        flight ??= await this.#nextFlight();
        const count = Math.min(blocks - first, Math.floor((this.#slotBytes - flight.used) / blockBytes));
        const from = job.byteOffset + first * blockBytes;
        flight.bytes.set(bytes.subarray(from, from + count * blockBytes), flight.used);
        flight.pieces.push({
          ...job,
          stagingByte: flight.used,
          elements: count * blockSize,
          firstElement: job.firstElement + first * blockSize,
        });
        flight.used += aligned(count * blockBytes, 4);
        first += count;
      }
    }
    if (flight) await this.#submit(flight);
  }

  /** Into the ring's next buffer, once it may be written. */
  async #nextFlight(): Promise<Flight> {
    const index = this.#next;
    this.#next = (index + 1) % this.#slotCount;
    await this.#slots[index]?.mapped;
    let slot = this.#slots[index];
    // Also where mapping failed, which a lost device does; that is told elsewhere (`device.lost`).
    if (slot?.upload.mapState !== 'mapped') {
      slot?.upload.destroy();
      const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
      const upload = this.device.createBuffer({ label: `upload.${index}`, size: this.#slotBytes + MOST_GATHER_BYTES, usage, mappedAtCreation: true });
      slot = { upload, mapped: Promise.resolve() };
      this.#slots[index] = slot;
    }
    return { slot, bytes: new Uint8Array(slot.upload.getMappedRange()), pieces: [], used: 0 };
  }

  /** One dispatch for each target buffer. */
  async #submit({ slot, bytes, pieces, used }: Flight): Promise<void> {
    const { device } = this;
    const arrived = (this.#arrived ??= device.createBuffer({
      label: 'upload.arrived',
      size: slot.upload.size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    }));
    const staging = { buffer: arrived, size: this.#slotBytes };
    let end = this.#slotBytes;
    const steps = [...new Set(pieces.map(({ target }) => target))].map((target) => {
      const gathers = pieces.filter((piece) => piece.target === target).flatMap(planeGathers);
      const packed = { buffer: arrived, offset: end, size: gathers.length * GATHER_BYTES };
      bytes.set(new Uint8Array(packGathers(gathers).buffer), end);
      end += aligned(packed.size, BINDING_ALIGNMENT);
      return repack(this.shaders, { label: 'repack', staging, gathers, packed, destination: { buffer: target } });
    });
    slot.upload.unmap();
    const encoder = device.createCommandEncoder({ label: 'upload' });
    encoder.copyBufferToBuffer(slot.upload, 0, arrived, 0, used);
    encoder.copyBufferToBuffer(slot.upload, this.#slotBytes, arrived, this.#slotBytes, end - this.#slotBytes);
    const pass = encoder.beginComputePass({ label: 'repack' });
    encodeSteps(pass, await Promise.all(steps), { tokens: 0, context: 0 });
    pass.end();
    device.queue.submit([encoder.finish()]);
    slot.mapped = slot.upload.mapAsync(GPUMapMode.WRITE).catch(() => undefined);
  }
}

function aligned(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
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
