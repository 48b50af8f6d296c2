import { GatefoldError } from '../errors.ts';

/** A request to `completions.create` has a parameter that is unknown, missing or out of its range. */
export class RequestError extends GatefoldError {
  override readonly name = 'RequestError';
  constructor(
    /** The parameter, e.g. `top_p`, `messages[2].content`. */
    readonly field: string,
    /** What is wrong, and what would be right. */
    readonly problem: string,
  ) {
    super('bad-request', `${field} ${problem}.`, { field });
  }
}

/** In a room a peer was found to have computed wrong, and what an answer has given out rests on that. It is banned by now. */
export class AnswerRevisedError extends GatefoldError {
  override readonly name = 'AnswerRevisedError';
  constructor() {
    super('answer-revised', 'What was streamed of this answer is void: a peer computed wrong, and is banned. Ask again, or do not stream: whole answers repeat themselves.');
  }
}
