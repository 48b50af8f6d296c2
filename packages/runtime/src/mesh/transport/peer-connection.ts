import type { IceCandidate } from '../signalling/messages.ts';
import type { MessageChannelLike } from './message-channel.ts';

type Description = { readonly type: RTCSdpType; readonly sdp?: string };

/** What is needed of an RTCPeerConnection, which there are several of: browsers have one, packages for Node others. */
export interface PeerConnectionLike {
  readonly connectionState: RTCPeerConnectionState;
  readonly localDescription: { readonly sdp: string } | null;
  readonly remoteDescription: { readonly sdp: string } | null;
  createDataChannel(label: string, options: { negotiated: boolean; id: number; ordered?: boolean }): MessageChannelLike;
  createOffer(): Promise<Description>;
  createAnswer(): Promise<Description>;
  setLocalDescription(description: RTCLocalSessionDescriptionInit): Promise<void>;
  setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void>;
  addIceCandidate(candidate: IceCandidate): Promise<void>;
  close(): void;
  addEventListener(type: 'icecandidate' | 'connectionstatechange', listener: (event: Event) => void): void;
}

/** The candidate of an `icecandidate` event; undefined where that only tells that there are no more. */
export function candidateOf(event: Event): IceCandidate | undefined {
  const found: unknown = 'candidate' in event ? event.candidate : undefined;
  if (typeof found !== 'object' || found === null || !('candidate' in found && 'sdpMid' in found)) return undefined;
  const { candidate, sdpMid } = found;
  if (typeof candidate !== 'string' || candidate === '') return undefined;
  return { candidate, sdpMid: typeof sdpMid === 'string' ? sdpMid : null };
}

/** Makes connections. */
export type CreateConnection = (configuration: { readonly iceServers: RTCIceServer[] }) => PeerConnectionLike;
