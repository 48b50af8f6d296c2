// What a page that offers rooms needs besides `Model.mesh`: links, joining by one, other ways of signalling, errors.
export { joinRoom, type JoinRoomOptions } from './client/join-room.ts';
export { isInvitation, parseInvitation, type Invitation } from './mesh/invitation.ts';
export { trysteroSignalling, type TrysteroOptions } from './mesh/signalling/trystero.ts';
export { webSocketSignalling, type SocketLike } from './mesh/signalling/websocket.ts';
export type { OpenSignalling, Signalling, SignallingHandlers } from './mesh/signalling/signalling.ts';
export * from './mesh/errors.ts';
