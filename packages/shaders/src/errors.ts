/** A kernel was asked for a shape, type or size that it cannot serve; robustness would turn it into wrong numbers. */
export class KernelArgumentError extends Error {
  override readonly name = 'KernelArgumentError';
  /** @param kernel stage name @param problem what is wrong and what would be right */
  constructor(readonly kernel: string, readonly problem: string) {
    super(`${kernel}: ${problem}`);
  }
}

/** A shader failed to compile on this adapter. */
export class ShaderCompilationError extends Error {
  override readonly name = 'ShaderCompilationError';
  constructor(readonly module: string, readonly messages: readonly string[]) {
    super(`shader ${module} does not compile on this adapter: ${messages.join('; ')}`);
  }
}
