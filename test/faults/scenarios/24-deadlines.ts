import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { waitFor } from '../../helpers/wait-for.ts'
import { ask, endsOf, submit } from '../runner/calls.ts'
import { DEFECTIVE, textThat } from '../runner/defective.ts'
import { seconds, spread } from '../runner/figures.ts'
import { JobEvents } from '../runner/job-events.ts'
import type { Scenario } from '../runner/scenario.ts'

const CANCEL_AFTER_MS = 12_000
/** Predictions with a deadline in each round; each has two texts of 0.4 s, so that all can be done in time. */
const JOBS = 6
/** The lock of a dead worker (10 s), two checks for stalled jobs (5 s each), and the start of another one. */
const MAX_LATE_MS = 25_000
/** A run that has begun ends, and a busy machine reads the clock late. */
const TOLERANCE_MS = 2_000

export const scenario: Scenario = {
  promise: 'What has not started by its deadline never runs, and what runs is stopped, whichever worker dies.',
  async run({ pick, start, directory, onEnd }) {
    const traces = join(directory, 'runs')
    const workerEnv = { ...DEFECTIVE, TRACE_FILE: traces, MAX_RUN_TOKENS: '206', PREDICT_JOBS: '2' }
    const cluster = await start({ apis: 2, workers: 1, workerEnv })
    const events = new JobEvents(cluster.redis.url, ['tiny-fp32-async']).start()
    onEnd(() => events.stop())
    const texts = (defect: 'slow' | 'traced', count: number) => ({
      inputs: Array.from({ length: count }, () => textThat(defect)),
    })
    const headers = { 'Cancel-After': `${CANCEL_AFTER_MS / 1_000}s` }
    const delays: number[] = []
    const counts = { aborted: 0, canceled: 0, succeeded: 0, refused: 0, other: 0, late: 0, outputs: 0, ran: 0 }
    const others: string[] = []
    const rounds = pick(2, 10)
    for (let round = 0; round < rounds; round += 1) {
      const holders = (await Promise.all([1, 2].map(() => submit(cluster, texts('slow', 3))))) as string[]
      others.push(...holders)
      const isActive = (id: string) => events.of('active', `public_${id}`).length > 0
      await waitFor('the worker to be busy', () => holders.some(isActive), { within: 60_000 })
      rmSync(traces, { force: true })
      const deadlines = new Map<string, number>()
      const submitLate = async () => {
        const json = { input: texts('traced', 2) }
        const { status, body } = await ask(`${cluster.url}/v1/predictions`, { json, headers })
        const made = body as { id: string; created_at: string }
        if (status === 202) deadlines.set(made.id, Date.parse(made.created_at) + CANCEL_AFTER_MS)
        else counts.refused += 1
      }
      await Promise.all(Array.from({ length: JOBS }, submitLate))
      cluster.workers.shift()?.child.kill('SIGKILL')
      const last = Math.max(...deadlines.values())
      // In every other round no worker lives when the deadlines pass.
      if (round % 2 === 0) await waitFor('the deadlines to pass', () => Date.now() > last, { within: 60_000 })
      await cluster.stack.addWorker()
      // Ends with an idle worker, so all that is left has run.
      const ends = await endsOf(cluster, [...holders, ...deadlines.keys()], 120_000)
      for (const [id, deadline] of deadlines) {
        const { status = 'lost', output = null, completed_at: at } = ends.get(id) ?? {}
        if (status === 'aborted' || status === 'canceled' || status === 'succeeded') counts[status] += 1
        else counts.other += 1
        const delay = Date.parse(at ?? '') - deadline
        if (status === 'succeeded' && delay > TOLERANCE_MS) counts.late += 1
        if (status === 'succeeded') continue
        delays.push(delay)
        if (output !== null) counts.outputs += 1
      }
      counts.ran += runsAfter(traces, last + TOLERANCE_MS)
    }
    const kept = [...(await endsOf(cluster, others, 0)).values()]
    const succeeded = kept.filter((found) => found?.status === 'succeeded').length
    const { aborted, canceled, refused, other, late, outputs, ran } = counts
    return {
      faults: `SIGKILL of ${rounds} workers that hold jobs; in ${Math.ceil(rounds / 2)} cases none lives when the deadlines of ${seconds(CANCEL_AFTER_MS)} pass`,
      figure: `accepted ${rounds * JOBS - refused}: aborted ${aborted}, stopped ${canceled}, in time ${counts.succeeded}; ended after the deadline ${spread(delays)}; texts that ran later ${ran}; without a deadline ${others.length}, succeeded ${succeeded}`,
      checks: [
        ['none was aborted', aborted > 0],
        [`${other} with a deadline are lost or failed`, other === 0],
        [`${late} succeeded after their deadline`, late === 0],
        [`${outputs} that did not succeed have an output`, outputs === 0],
        [`${ran} texts ran after their deadline`, ran === 0],
        [`one ended ${seconds(MAX_LATE_MS)} after its deadline`, Math.max(...delays) < MAX_LATE_MS],
        [`${others.length - succeeded} without a deadline did not succeed`, succeeded === others.length],
      ],
    }
  },
}

/** The texts with a deadline that began to run after a time, epoch milliseconds. */
function runsAfter(traces: string, time: number): number {
  if (!existsSync(traces)) return 0
  return readFileSync(traces, 'utf8')
    .split('\n')
    .filter((line) => Number(line) > time).length
}
