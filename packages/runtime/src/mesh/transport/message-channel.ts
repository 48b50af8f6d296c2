/** What is needed of an RTCDataChannel: also of one in a worker, or one whose messages are delayed on purpose. */
export interface MessageChannelLike {
  binaryType: BinaryType;
  bufferedAmountLowThreshold: number;
  readonly bufferedAmount: number;
  send(data: string | ArrayBufferView<ArrayBuffer>): void;
  close(): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void, options?: AddEventListenerOptions): void;
  addEventListener(type: 'open' | 'close' | 'error' | 'bufferedamountlow', listener: () => void, options?: AddEventListenerOptions): void;
}
