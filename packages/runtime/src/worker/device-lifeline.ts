import { DeviceLostError } from '../engine/errors.ts';
import { Lifeline } from '../port/lifeline.ts';

/** For work on a device: rejects with `DeviceLostError` when it is lost. */
export function deviceLifeline(device: GPUDevice): Lifeline {
  const lifeline = new Lifeline();
  void device.lost.then(({ reason, message }) => lifeline.cut(new DeviceLostError(message || reason)));
  return lifeline;
}
