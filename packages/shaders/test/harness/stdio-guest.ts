// A guest in a process of its own (Deno): one request a line on stdin, one answer a line on stdout.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { Guest, type CaseRequest } from './guest.ts';

/** What a line of the answer holds: `failure` is absent where the case passed. */
export interface Answer {
  readonly failure?: string;
}

const guest = new Guest(navigator.gpu);
process.stderr.write(`${await guest.describe()}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const request: CaseRequest = JSON.parse(line);
  const failure = await guest.run(request);
  const answer: Answer = failure === undefined ? {} : { failure };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await guest.close();
