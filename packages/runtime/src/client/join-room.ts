import type { JoinMeshOptions, MeshRoomHandle } from '../api/mesh.ts';
import type { LoadOptions, Model } from '../api/types.ts';
import { InvitationError } from '../mesh/errors.ts';
import { parseInvitation } from '../mesh/invitation.ts';
import { load } from './load.ts';

export interface JoinRoomOptions extends JoinMeshOptions {
  /** Of the model. Default: as much GPU memory as there is. */
  readonly load?: Omit<LoadOptions, 'signal'>;
}

/**
 * What a page does that was opened by a link: loads the model that the link names, and joins the room with it. The model
 * is disposed of where joining fails. Throws as `load` and `ModelMesh.join`, and `InvitationError` for a link without a model.
 */
export async function joinRoom(link: string | URL, { load: loading, ...options }: JoinRoomOptions = {}): Promise<{ readonly model: Model; readonly room: MeshRoomHandle }> {
  const { model: url } = parseInvitation(link);
  if (url === undefined) throw new InvitationError('it names no model; load the one that the host has, and join with that');
  const model = await load(url, { ...loading, ...(options.signal ? { signal: options.signal } : {}) });
  try {
    return { model, room: await model.mesh.join(link, { modelUrl: url, ...options }) };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}
