import type { Step } from '@gatefold/shaders';
import type { Foretold } from './experts/foretell.ts';

/** A value inside the forward pass that `evaluate` copies out after a stage. */
export interface Tap {
  /** As in the fixtures: `embed`, `layer.3`, `final_norm`, `logits`, `moe.3.ids`, … */
  readonly name: string;
  readonly dtype: 'F32' | 'I32';
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Values a token. */
  readonly width: number;
  /** Values from a token's first to the next one's; default: `width`. */
  readonly stride?: number;
}

/** Which steps of a stage run a layer's routed experts: they may run once the experts that `ids` names are resident. */
export interface RoutedSteps {
  /** Index of the layer. */
  readonly layer: number;
  /** The router's choice, [tokens, topK] u32, complete before step `first`. */
  readonly ids: GPUBufferBinding;
  readonly topK: number;
  readonly first: number;
  /** The step after the last of them. */
  readonly end: number;
  /** The first step that needs the sum over all of them. */
  readonly joined: number;
  /** [tokens, d]: what the experts read. */
  readonly x: GPUBuffer;
  /** [tokens, topK] f32: on their outputs, or on their inputs. */
  readonly weights: GPUBufferBinding;
  /** [tokens, d]: what their sum, times `scale`, is added to. */
  readonly out: GPUBuffer;
  readonly scale: number;
  /** The next MoE layer's choice, foretold from what this layer's experts read; where experts come when they are asked for. */
  readonly foretold?: Foretold | undefined;
}

/** Steps in order, then the values that are complete after them. */
export interface Stage {
  readonly steps: readonly Step[];
  readonly taps: readonly Tap[];
  /** Undefined where no router chooses. */
  readonly routed?: RoutedSteps;
}

/** All steps of the stages, in order. */
export function stepsOf(stages: readonly Stage[]): readonly Step[] {
  return stages.flatMap(({ steps }) => steps);
}
