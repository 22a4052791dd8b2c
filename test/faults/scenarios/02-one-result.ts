import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../helpers/wait-for.ts'
import { endsOf, find, submit } from '../runner/calls.ts'
import { DEFECTIVE, textThat } from '../runner/defective.ts'
import { JobEvents } from '../runner/job-events.ts'
import type { Scenario } from '../runner/scenario.ts'

/** Longer than a lock (10 s) and a check for stalled jobs (5 s). */
const LONG_ENOUGH_MS = 40_000

export const scenario: Scenario = {
  promise: 'A job has one result: work may run twice, a result is stored once and never changes.',
  async run({ pick, start, onEnd }) {
    const cluster = await start({ workerEnv: { ...DEFECTIVE, RUN_TIMEOUT: '2m' } })
    const events = new JobEvents(cluster.redis.url, ['tiny-fp32-async']).start()
    onEnd(() => events.stop())
    const rounds = pick(1, 4)
    const ids: string[] = []
    let changed = 0
    for (let round = 0; round < rounds; round += 1) {
      const [frozen] = cluster.workers
      const slow = { inputs: Array.from({ length: 3 }, () => textThat('slow')) }
      const own = await Promise.all([submit(cluster, slow), submit(cluster, slow)])
      const jobs = own.filter((id) => id !== undefined)
      ids.push(...jobs)
      await waitFor('the jobs to run', () => jobs.every((id) => started(events, id) === 1), { within: 60_000 })
      frozen?.child.kill('SIGSTOP')
      await cluster.stack.addWorker()
      const ends = await endsOf(cluster, jobs, LONG_ENOUGH_MS + 60_000)
      frozen?.child.kill('SIGCONT')
      // The first worker computes what it had begun, and tries to store it.
      await delay(4_000)
      for (const [id, before] of ends) {
        if (JSON.stringify(await find(cluster, id)) !== JSON.stringify(before)) changed += 1
      }
      cluster.workers.shift()
      await frozen?.stop()
    }
    const runs = ids.map((id) => started(events, id))
    const stored = ids.map((id) => events.of('completed', `public_${id}`).length)
    return {
      faults: `${rounds} × SIGSTOP of a worker past its locks, then SIGCONT`,
      figure: `jobs ${ids.length}, runs ${sum(runs)}, results ${sum(stored)}, changed results ${changed}`,
      checks: [
        ['every job ran twice', runs.every((count) => count >= 2)],
        ['every job has one result', stored.every((count) => count === 1)],
        [`${changed} results changed`, changed === 0],
      ],
    }
  },
}

const started = (events: JobEvents, id: string) => events.of('active', `public_${id}`).length
const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0)
