import type { AnswerLedger } from './answer-ledger.ts';
import { answerFrameBytes, layersFrameBytes, type LayersWork } from './frames.ts';
import { inTime } from './in-time.ts';
import type { Peers } from './peers.ts';
import { areFinite } from './result-check.ts';

/** A pass through layers takes longer than one step's experts, and standing in for the peer costs the whole conversation. */
const PATIENCE = 4;

/**
 * The residual stream after a peer's layers, [tokens, d]. Undefined where the peer fails, is late or gives nonsense: the
 * ledger then says that all is to be computed again, without it.
 */
export async function askLayers(peers: Peers, name: string, work: LayersWork, ledger: AnswerLedger): Promise<Float32Array<ArrayBuffer> | undefined> {
  const { width } = peers;
  const { wire } = peers.options;
  const { counts } = ledger;
  const lost = (reason: string): undefined => {
    ledger.revise(0, name, reason);
  };
  const peer = peers.get(name);
  if (!peer) return lost('is gone');
  const begun = performance.now();
  const sent = layersFrameBytes(wire, work.tokens, width);
  const asked = peer.ask(work.tokens, (id) => ({ kind: 'layers', id, format: wire, work }));
  const answer = await inTime(asked, PATIENCE * peer.times.hedgeMs(work.tokens));
  counts.messages++;
  counts.bytesSent += sent;
  if (typeof answer === 'string') {
    peer.rest(answer);
    counts.failovers++;
    return lost(answer === 'late' ? 'is late' : 'does not do what it was asked');
  }
  const { rows } = answer;
  const received = answerFrameBytes(wire, work.tokens, width);
  counts.messages++;
  counts.bytesReceived += received;
  counts.stepMs.push(performance.now() - begun);
  counts.choices += work.tokens;
  counts.remoteChoices += work.tokens;
  if (work.tokens === 1) {
    counts.decodeMessages += 2;
    counts.decodeBytes += sent + received;
  }
  if (areFinite(rows) || !areFinite(work.x)) return rows;
  peers.ban(name, 'gave a result that is not finite');
  return lost('gave a result that is not finite');
}
