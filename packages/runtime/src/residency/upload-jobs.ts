import type { Shard } from '../shards/shard.ts';
import { planarFormat } from '@gatefold/shaders';
import type { UploadJob } from './uploader.ts';
import type { ModelWeights } from './weights.ts';

/**
 * Where each part of a shard's bytes goes: one job for every planar matrix that a range's rows fall into.
 * @param slot of an expert; its own number where all experts are resident
 */
export function uploadJobs(weights: ModelWeights, shard: Shard, slot?: number): readonly UploadJob[] {
  const jobs: UploadJob[] = [];
  let rangeStart = 0;
  for (const { tensor, firstRow, rows, length } of shard.ranges) {
    for (const { buffer, matrix, firstRow: placeRow } of weights.destinations(tensor, shard.expert, slot)) {
      const { blockSize, blockBytes } = planarFormat(matrix.type);
      const rowBytes = (matrix.cols / blockSize) * blockBytes;
      const from = Math.max(firstRow, placeRow);
      const to = Math.min(firstRow + rows, placeRow + matrix.rows);
      if (from >= to) continue;
      jobs.push({
        byteOffset: rangeStart + (from - firstRow) * rowBytes,
        byteLength: (to - from) * rowBytes,
        format: matrix.type,
        elements: (to - from) * matrix.cols,
        target: buffer,
        targetWord: matrix.baseWord,
        totalElements: matrix.rows * matrix.cols,
        firstElement: (from - placeRow) * matrix.cols,
      });
    }
    rangeStart += length;
  }
  return jobs;
}
