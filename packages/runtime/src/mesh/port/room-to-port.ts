import type { MeshState } from '../../api/mesh.ts';
import type { LinkLimits } from '../limits.ts';
import type { PeerLink } from '../link.ts';
import type { Membership } from '../membership.ts';
import { MovedLink } from '../transport/moved-link.ts';
import { typedPort, type EngineMessage, type JoinedMessage, type LinkMessage, type RoomMessage, type SendMessage } from './messages.ts';

/** How often measured round trips are passed on. */
const STATS_MS = 1000;

/** What can be asked of the engine that a room was shown to. */
export interface RoomPort {
  state(): Promise<MeshState>;
  /** The room has been left. */
  close(): void;
}

/** Shows a room to whoever holds the port's other end (`PortMembership`), who may close it. */
export function roomToPort(room: Membership, port: MessagePort, limits: LinkLimits): RoomPort {
  const messages = typedPort<RoomMessage, EngineMessage>(port);
  const asking: ((state: MeshState) => void)[] = [];
  messages.listen((message) => {
    if ('ban' in message) room.ban(message.ban.name, message.ban.reason);
    else if ('state' in message) asking.shift()?.(message.state);
    else room.close();
  });
  room.listen({
    onJoin: (peer) => {
      const { name, hello, link } = peer;
      const bulk = new MessageChannel();
      linkToPort(peer.bulk, bulk.port1);
      const join = (frames: Pick<JoinedMessage, 'port' | 'isMoved' | 'conditions'>) => messages.post({ joined: { name, hello, limits, ...frames, bulk: bulk.port2 } }, [frames.port, bulk.port2]);
      if (link instanceof MovedLink) {
        const { there, conditions } = link.ports;
        join({ port: there, isMoved: true, conditions });
        const timer = setInterval(() => link.tell(peer.stats().roundTripsMs), STATS_MS);
        link.listen({ onFrame: () => {}, onClose: () => clearInterval(timer) });
      } else {
        const { port1, port2 } = new MessageChannel();
        join({ port: port2, isMoved: false });
        linkToPort(link, port1, () => peer.stats().roundTripsMs);
      }
    },
    onLeave: (name, reason) => messages.post({ left: { name, reason } }),
  });
  return {
    state() {
      const state = new Promise<MeshState>((answered) => asking.push(answered));
      messages.post({ askState: true });
      return state;
    },
    close: () => messages.post({ closed: true }),
  };
}

/** Passes frames on both ways. @param roundTripsMs what is measured of the link, if anything */
function linkToPort(link: PeerLink, port: MessagePort, roundTripsMs?: () => readonly number[]): void {
  const messages = typedPort<LinkMessage, SendMessage>(port);
  const timer = roundTripsMs && setInterval(() => messages.post({ roundTripsMs: roundTripsMs() }), STATS_MS);
  messages.listen((message) => {
    if ('close' in message) return link.close(message.close);
    const { frame } = message;
    const bytes = frame.length;
    // When it fails the link closes, which is told below.
    link.send(frame).then(() => messages.post({ taken: bytes }), () => {});
  });
  link.listen({
    onFrame: (frame) => messages.post({ frame }, [frame.buffer]),
    onClose: (reason) => {
      clearInterval(timer);
      messages.post({ closed: reason });
    },
  });
}
