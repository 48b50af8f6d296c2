import type { MessageChannelLike } from '../../src/mesh/transport/message-channel.ts';

/** A channel in memory, whose other end can be anything: also a peer that keeps no rule. */
export class MemoryChannel implements MessageChannelLike {
  readonly #events = new EventTarget();
  binaryType: BinaryType = 'arraybuffer';
  bufferedAmountLowThreshold = 0;
  bufferedAmount = 0;
  readonly readyState = 'open';
  other: MemoryChannel | undefined;
  /** Changes what is sent, or keeps it back. */
  onSend: (data: string | ArrayBufferView<ArrayBuffer>) => string | ArrayBufferView<ArrayBuffer> | undefined = (data) => data;

  static pair(): [MemoryChannel, MemoryChannel] {
    const [one, other] = [new MemoryChannel(), new MemoryChannel()];
    one.other = other;
    other.other = one;
    return [one, other];
  }

  send(data: string | ArrayBufferView<ArrayBuffer>): void {
    const sent = this.onSend(data);
    if (sent !== undefined) queueMicrotask(() => this.other?.receive(sent));
  }

  /** As if the other side had sent it. */
  receive(data: string | ArrayBufferView<ArrayBuffer>): void {
    const copy = typeof data === 'string' ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
    this.emit(new MessageEvent('message', { data: copy }));
  }

  close(): void {
    this.emit(new Event('close'));
    queueMicrotask(() => this.other?.emit(new Event('close')));
  }

  emit(event: Event): void {
    this.#events.dispatchEvent(event);
  }

  addEventListener(...args: Parameters<MessageChannelLike['addEventListener']>): void {
    this.#events.addEventListener(...args);
  }
}
