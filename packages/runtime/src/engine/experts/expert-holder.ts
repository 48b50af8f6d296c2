import type { ExpertName } from '../../api/types.ts';
import type { Shard, ShardReader } from '../../shards/shard.ts';
import type { LoadedModel } from '../loaded-model.ts';

/** Brings experts that will be asked for, while there are free slots: what is there already is not pushed out for them. */
export class ExpertHolder {
  readonly #shards: ReadonlyMap<string, Shard>;
  #wanted: readonly ExpertName[] = [];
  #running = false;

  constructor(
    readonly model: LoadedModel,
    readonly reader: ShardReader,
  ) {
    this.#shards = new Map(reader.plan.shards.flatMap((shard) => (shard.kind === 'expert' ? [[`${shard.layer}.${shard.expert}`, shard]] : [])));
  }

  /** In this order, before what was wanted earlier. */
  hold(experts: readonly ExpertName[]): void {
    this.#wanted = [...experts, ...this.#wanted].slice(0, 2 * this.#shards.size);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let [next] = this.#wanted; next; [next] = this.#wanted) {
        this.#wanted = this.#wanted.slice(1);
        const shard = this.#shards.get(`${next.layer}.${next.expert}`);
        if (shard && this.model.hasRoomFor(shard)) await this.model.fill(shard, await this.reader.read(shard));
      }
    } catch {
      // What cannot be had now is tried again, and its failure told of, when it is asked for.
      this.#wanted = [];
    } finally {
      this.#running = false;
    }
  }
}
