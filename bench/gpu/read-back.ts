/** Copies bytes of a buffer to the host. */
export async function readBack(device: GPUDevice, { buffer, offset = 0, size = buffer.size - offset }: GPUBufferBinding): Promise<ArrayBuffer> {
  const readable = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, readable, 0, size);
  device.queue.submit([encoder.finish()]);
  await readable.mapAsync(GPUMapMode.READ);
  const bytes = readable.getMappedRange().slice(0);
  readable.destroy();
  return bytes;
}
