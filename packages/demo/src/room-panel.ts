import type { MeshPeerInfo, MeshRoomHandle, Model } from '@gatefold/runtime';
import { element, showText } from './elements.ts';
import { formatBytes } from './format.ts';
import { RoomDoor } from './room-door.ts';
import { RoomPicture } from './room-picture.ts';

/** How often round trips and traffic are looked at besides what happens. */
const LOOK_MS = 1000;

/** Several tabs or devices that run the model together: opening and leaving a room, its link, and who is there. */
export class RoomPanel {
  readonly #open = element('open-room', HTMLButtonElement);
  readonly #leave = element('leave-room', HTMLButtonElement);
  readonly #share = element('room-share', HTMLInputElement);
  readonly #invite = element('room-invite', HTMLDivElement);
  readonly #link = element('room-link', HTMLInputElement);
  readonly #revoke = element('revoke-link', HTMLButtonElement);
  readonly #askChoice = element('room-ask-choice', HTMLLabelElement);
  readonly #door = new RoomDoor();
  readonly #text = element('room-text', HTMLParagraphElement);
  readonly #peers = element('room-peers', HTMLUListElement);
  readonly #picture = new RoomPicture(element('room-picture', SVGSVGElement));
  #model: Model | undefined;
  #modelUrl: string | undefined;
  #room: MeshRoomHandle | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking = false;
  /** Whom this tab has sent away by the button. */
  readonly #killed: string[] = [];

  /** @param onError told why a room could not be opened or joined */
  constructor(readonly onError: (error: unknown) => void) {
    this.#open.addEventListener('click', () => void this.#enter());
    this.#leave.addEventListener('click', () => this.#close());
    element('copy-link', HTMLButtonElement).addEventListener('click', () => void navigator.clipboard.writeText(this.#link.value));
    this.#revoke.addEventListener('click', () => {
      this.#room?.revokeLink();
      void this.look();
    });
    this.#share.addEventListener('input', () => this.#showShare());
    this.#showShare();
  }

  /** The room that this page was opened for, and the model that it runs, where its link says so. */
  static get invitation(): { readonly link: string; readonly model: string | undefined } | undefined {
    const fields = new URLSearchParams(location.hash.slice(1));
    return fields.has('room') && fields.has('secret') ? { link: location.href, model: fields.get('model') ?? undefined } : undefined;
  }

  /** @param model undefined while none is loaded @param url where others can load it from */
  reset(model: Model | undefined, url?: string): void {
    this.#close();
    this.#model = model;
    this.#modelUrl = url;
    this.#open.disabled = !model;
    this.#open.textContent = RoomPanel.invitation ? 'Join the room' : 'Open a room';
    // Who comes as a guest lets nobody in.
    this.#askChoice.hidden = this.#revoke.hidden = RoomPanel.invitation !== undefined;
    if (model && RoomPanel.invitation) void this.#enter();
  }

  /** Shows what the room does at this moment. */
  async look(): Promise<void> {
    const room = this.#room;
    if (!room || this.#looking) return;
    this.#looking = true;
    try {
      const state = await room.state();
      if (room !== this.#room) return;
      await this.#showInvitation(room.link);
      this.#picture.show(room.peers, state);
      this.#listPeers(room.peers, new Map(state.traffic.map(({ peer, bytesSent, bytesReceived }) => [peer, bytesSent + bytesReceived])));
      const banned = state.banned.map(({ peer, reason }) => `${peer.slice(0, 6)} was sent away: it ${reason}.`);
      const killed = this.#killed.map((peer) => `${peer.slice(0, 6)} was sent away by you.`);
      showText(this.#text, [room.peers.length === 0 ? 'Nobody else is here.' : '', ...banned, ...killed].filter(Boolean).join(' '));
    } catch {
      // The room has been left meanwhile.
    } finally {
      this.#looking = false;
    }
  }

  async #enter(): Promise<void> {
    const model = this.#model;
    if (!model || this.#room) return;
    this.#open.disabled = true;
    try {
      const { expertBytes } = await model.memory();
      const options = {
        name: /Firefox|Edg|Chrome|Safari/.exec(navigator.userAgent)?.[0] ?? '',
        memoryBytes: Math.round((expertBytes * Number(this.#share.value)) / 100),
        onChange: () => void this.look(),
        ...(this.#modelUrl === undefined ? {} : { modelUrl: this.#modelUrl }),
      };
      const invitation = RoomPanel.invitation;
      const room = await (invitation ? model.mesh.join(invitation.link, options) : model.mesh.open({ ...options, ask: this.#door.ask }));
      if (model !== this.#model) return room.close();
      this.#room = room;
      this.#timer = setInterval(() => void this.look(), LOOK_MS);
      this.#open.hidden = true;
      this.#leave.hidden = false;
      this.#share.disabled = true;
      await this.look();
    } catch (error) {
      this.onError(error);
    } finally {
      this.#open.disabled = !this.#model;
    }
  }

  #close(): void {
    clearInterval(this.#timer);
    this.#room?.close();
    this.#room = undefined;
    this.#open.hidden = false;
    this.#leave.hidden = this.#invite.hidden = true;
    this.#share.disabled = false;
    this.#killed.length = 0;
    this.#link.value = '';
    this.#door.clear();
    this.#picture.clear();
    this.#peers.replaceChildren();
    showText(this.#text, undefined);
  }

  /** The link changes when it is revoked, which sending somebody away does, too. */
  async #showInvitation(link: string): Promise<void> {
    if (link === this.#link.value) return;
    const { renderSVG } = await import('uqr');
    this.#link.value = link;
    // Our own text, made of squares.
    element('room-qr', HTMLDivElement).innerHTML = renderSVG(link);
    this.#invite.hidden = false;
  }

  #listPeers(peers: readonly MeshPeerInfo[], bytes: ReadonlyMap<string, number>): void {
    this.#peers.replaceChildren(
      ...peers.map(({ peer, name, kind, memoryBytes, roundTripMs }) => {
        const item = document.createElement('li');
        const about = [name || kind, `${formatBytes(memoryBytes)} for experts`, `${formatBytes(bytes.get(peer) ?? 0)} exchanged`, roundTripMs === undefined ? '' : `${roundTripMs.toFixed(1)} ms`];
        const kill = document.createElement('button');
        kill.type = 'button';
        kill.textContent = 'Kill this peer';
        kill.addEventListener('click', () => {
          this.#killed.push(peer);
          this.#room?.ban(peer, 'the person at another tab sent it away');
        });
        item.append(`${peer.slice(0, 6)} · ${about.filter(Boolean).join(' · ')} `, kill);
        return item;
      }),
    );
  }

  #showShare(): void {
    element('room-share-shown', HTMLOutputElement).value = `This tab takes ${this.#share.value}% of the experts`;
  }
}
