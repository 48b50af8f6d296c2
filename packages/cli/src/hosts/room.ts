import type { GenerateJob, Job, JobEvent, JoinJob, RoomJob } from '../job/types.ts';
import { openRelay } from '../relay/open-relay.ts';
import type { JobBrowser, JobPage } from './job-page.ts';

/**
 * Runs a generation in a room of several pages of one browser, over a relay of its own: `home` has the conversation, the
 * others serve it. Throws `JobError`, whoever's job fails.
 */
export async function runRoom<Report>(browser: JobBrowser, home: JobPage, job: GenerateJob, room: RoomJob, emit: (event: JobEvent) => void): Promise<Report> {
  const relay = await openRelay();
  const helpers: JobPage[] = [];
  const killed = new Set<JobPage>();
  let fail: (problem: unknown) => void = () => {};
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => {});
  const join = async (link: string, isHonest: boolean) => {
    const page = await browser.open();
    helpers.push(page);
    await page.run<Job, JobEvent, never>(joinJob(job, isHonest ? withoutFaults(room) : room, link), emit).catch((error: unknown) => {
      if (!killed.has(page)) throw error;
    });
  };
  const onEvent = (event: JobEvent) => {
    if (event.kind === 'room') {
      for (let other = 1; other < room.tabs; other++) join(event.link, other > 1).catch(fail);
    } else if (event.kind === 'token') {
      const victim = event.count === room.killAt ? helpers.at(-1) : undefined;
      if (!victim || killed.has(victim)) return;
      killed.add(victim);
      victim.page.close().catch(fail);
    } else emit(event);
  };
  try {
    const answer = home.run<Job, JobEvent, Report>({ ...job, room: { ...withoutFaults(room), relay: relay.url } }, onEvent);
    return await Promise.race([answer, failure]);
  } finally {
    relay.close();
  }
}

function withoutFaults(room: RoomJob): RoomJob {
  const { corruptShare: _, ...honest } = room;
  return honest;
}

/** As the tab with the conversation runs the model. */
function joinJob(job: GenerateJob, room: RoomJob, link: string): JoinJob {
  const { input: _, maxTokens: _tokens, sampling: _sampling, ...model } = job;
  return { ...model, command: 'join', link, room };
}
