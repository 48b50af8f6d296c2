/** What is needed of an RTCDataChannel: also of one in a worker, or one whose messages are delayed on purpose. */
export interface MessageChannelLike {
  binaryType: BinaryType;
  bufferedAmountLowThreshold: number;
  readonly bufferedAmount: number;
  readonly readyState: RTCDataChannelState;
  send(data: string | ArrayBufferView<ArrayBuffer>): void;
  close(): void;
  addEventListener(type: 'message' | 'open' | 'close' | 'error' | 'bufferedamountlow', listener: (event: Event) => void, options?: AddEventListenerOptions): void;
}

/** The data of a `message` event. */
export function dataOf(event: Event): unknown {
  return 'data' in event ? event.data : undefined;
}
