import { hostname } from 'node:os';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { WebSocket } from 'ws';
import { parseInvitation, webSocketSignalling } from '@gatefold/runtime/mesh';
import { loadInNode } from '@gatefold/runtime/node';
import { requiredText, text, UsageError, type Options } from '../args.ts';
import { openAnyDawn } from '../hosts/node.ts';
import type { FileCommand } from './file-command.ts';
import { modelOptions } from './model-options.ts';

/** Joins a room and works for it until it is cancelled. */
export const serveCommand: FileCommand = async (options, { terminal, signal }) => {
  const link = requiredText(options, 'room');
  const { relay, model: named } = parseInvitation(link);
  const { model: source, ...load } = await modelOptions(withModel(options, named));
  const stun = text(options, 'stun');
  const { gpu, release } = await openAnyDawn();
  const loading = { ...load, signal, onProgress: ({ phase, bytes, bytesTotal }: Progress) => terminal.show({ kind: 'progress', message: `${phase} ${(bytes / 1e6).toFixed(1)} of ${(bytesTotal / 1e6).toFixed(1)} MB` }) };
  try {
    const model = await loadInNode(source, loading, gpu);
    const room = await model.mesh.join(link, {
      name: text(options, 'name') ?? hostname(),
      signal,
      signalling: webSocketSignalling(relay, (url) => new WebSocket(url)),
      createConnection: (configuration) => new RTCPeerConnection(configuration),
      ...(stun === undefined ? {} : { iceServers: [{ urls: stun }] }),
      onChange: (peers) => (options['json'] ? terminal.json({ peers }) : terminal.line(`${peers.length} in the room${peers.length > 0 ? `: ${peers.map(({ name, peer }) => name || peer.slice(0, 8)).join(', ')}` : ''}`)),
      onWarning: ({ message }) => terminal.show({ kind: 'warning', message }),
    });
    if (options['json']) terminal.json({ self: room.self, peers: room.peers });
    else terminal.line(`serving ${model.info.spec.name} as ${room.self.slice(0, 8)}`);
    try {
      await new Promise((_, fail) => {
        if (signal.aborted) fail(signal.reason);
        signal.addEventListener('abort', () => fail(signal.reason), { once: true });
      });
    } finally {
      room.close();
      await model.dispose();
    }
  } finally {
    release();
  }
};

type Progress = { readonly phase: string; readonly bytes: number; readonly bytesTotal: number };

/** The model that is given, or else the one that the link names. */
function withModel(options: Options, named: string | undefined): Options {
  const model = text(options, 'model') ?? named;
  if (model === undefined) throw new UsageError('The link names no model: give the same one with --model.');
  return { ...options, model };
}
