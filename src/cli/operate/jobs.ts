// `inferq jobs`: predictions that wait, run or failed, with the reason.
import type { Inferq } from '../../client/client.ts'
import type { Prediction, QueueInfo } from '../../client/types.ts'
import { EXIT } from '../failure.ts'
import { countOf, countText, secondsText } from '../format.ts'
import { tableText } from '../table.ts'
import { oneLine, print, report, type Terminal, widthOf } from '../terminal.ts'

export const JOB_STATES = ['waiting', 'running', 'failed', 'succeeded', 'canceled'] as const
type JobState = (typeof JOB_STATES)[number]

export interface JobsFlags {
  state?: JobState[] | undefined
  limit: number
  json?: boolean | undefined
}

interface Job {
  id: string
  model: string
  state: JobState
  created_at: string
  /** Of what waits or runs since its creation, else since its end; seconds. */
  age_seconds: number
  attempts: number
  reason: string | null
}

const STATE_OF: Record<Prediction['status'], JobState> = {
  starting: 'waiting',
  processing: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
  aborted: 'canceled',
}
const DEFAULT_STATES: JobState[] = ['waiting', 'running', 'failed']
/** The newest predictions that are read, 100 a request. */
const MAX_READ = 5_000

/** @returns the exit code. @throws ConnectionError, InferqError. */
export async function printJobs(inferq: Inferq, flags: JobsFlags, terminal: Terminal): Promise<number> {
  const { state: states = DEFAULT_STATES, limit, json } = flags
  const { stdout, signal } = terminal
  const queue = await inferq.operations.queue(signal)
  const jobs: Job[] = []
  let read = 0
  for await (const prediction of inferq.predictions.all({ signal })) {
    read += 1
    if (states.includes(STATE_OF[prediction.status])) {
      // A list leaves out what is large, and with the output its errors.
      const isWhole = prediction.status !== 'failed' || !prediction.omitted?.includes('output')
      const whole = isWhole
        ? prediction
        : await inferq.predictions.get(prediction.id, { signal }).catch(() => prediction)
      jobs.push(jobOf(whole, queue, Date.now()))
    }
    if (jobs.length === limit || read === MAX_READ) break
  }
  if (json) await print(stdout, jobs.map((job) => `${JSON.stringify(job)}\n`).join(''))
  else if (jobs.length === 0) report(terminal, `no predictions are ${states.join(', ')}`)
  else await print(stdout, tableText([TITLES, ...jobs.map(cells)], widthOf(stdout)))
  if (read === MAX_READ)
    report(terminal, `the newest ${countText(MAX_READ)} predictions were read; older ones are not listed`)
  else if (jobs.length === limit) report(terminal, `the newest ${countText(limit)} are listed; --limit lists more`)
  return EXIT.ok
}

function jobOf(prediction: Prediction, queue: Record<string, QueueInfo>, now: number): Job {
  const { id, model, status, created_at: created, completed_at: completed, attempts } = prediction
  const age = (now - Date.parse(completed ?? created)) / 1_000
  return {
    id,
    model,
    state: STATE_OF[status],
    created_at: created,
    age_seconds: Math.max(0, Math.round(age)),
    attempts,
    reason: reasonOf(prediction, queue[model]),
  }
}

function reasonOf({ status, error, errors = [], attempts }: Prediction, queue: QueueInfo | undefined): string | null {
  if (status === 'starting') {
    if (!queue || queue.workers === 0) return 'no worker serves the model'
    const wait = queue.eta_seconds_by_lane.async
    return `waiting for a worker${wait === null ? '' : `; all that wait are done in about ${secondsText(Math.max(1, wait))}`}`
  }
  if (status === 'processing') return attempts > 1 ? `runs again, attempt ${attempts}` : null
  const [first, ...others] = errors
  if (first) return `${first.message}${others.length > 0 ? `, and ${countOf(others.length, 'other text')} failed` : ''}`
  return status === 'succeeded' ? null : (error ?? status)
}

const TITLES = ['ID', 'MODEL', 'STATE', 'AGE', 'ATTEMPTS', 'REASON']

function cells({ id, model, state, age_seconds: age, attempts, reason }: Job): string[] {
  return [id, model, state, secondsText(age), countText(attempts), oneLine(reason ?? '')]
}
