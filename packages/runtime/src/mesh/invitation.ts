import { InvitationError } from './errors.ts';
import { isHex128 } from './hex.ts';

/** What somebody must know to come into a room. */
export interface Invitation {
  /** Name of the room, and of the peer that lets others in: 32 hex digits. */
  readonly room: string;
  /** 128 bits as hex. Whoever knows it can come in. */
  readonly secret: string;
  /** Address of the relay, or of the network of another adapter. */
  readonly relay: string;
  /** URL of the model that the room runs, where it has one: it says nothing about who may come in. */
  readonly model?: string;
}

/**
 * A link with the invitation in its fragment, which browsers send to no server.
 * @param page that the others are to open
 */
export function invitationLink(page: string | URL, { room, secret, relay, model }: Invitation): string {
  const link = new URL(page);
  link.hash = new URLSearchParams({ room, secret, relay, ...(model && { model }) }).toString();
  return link.href;
}

/** Throws `InvitationError`. */
export function parseInvitation(link: string | URL): Invitation {
  const text = String(link);
  const start = text.indexOf('#');
  if (start < 0) throw new InvitationError('it has no # with room and secret');
  const fields = new URLSearchParams(text.slice(start + 1));
  const [room, secret, relay, model] = ['room', 'secret', 'relay', 'model'].map((name) => fields.get(name));
  if (!isHex128(room)) throw new InvitationError('its room is missing or cut off');
  if (!isHex128(secret)) throw new InvitationError('its secret is missing or cut off');
  if (!relay) throw new InvitationError('its relay is missing');
  return { room, secret, relay, ...(model && { model }) };
}

/** Whether an address is an invitation, so that a page knows what it was opened for. */
export function isInvitation(link: string | URL): boolean {
  const fields = new URLSearchParams(String(link).split('#')[1] ?? '');
  return fields.has('room') && fields.has('secret');
}
