// The events of a prediction's stream. They follow from its present state, so a stream can go on in any api.
import type { Prediction } from '../../../predict/predictions.ts'
import type { ProblemDocument } from '../../http/problem.ts'
import type { ServerEvent } from '../../http/streams/sse.ts'
import type { PredictionObject } from '../schema.ts'

/** In the order in which they are sent. */
export const EVENTS = ['queued', 'started', 'output', 'error', 'done'] as const
export type EventName = (typeof EVENTS)[number]

/** An event with its id, `RUN-NAME`, and for `queued` also `-POSITION-ETA`. */
export interface PredictionEvent extends ServerEvent {
  id: string
  event: EventName
}

/** A queued event is sent again when the time to the start has changed by this part, and by this many seconds. */
const [CHANGE, CHANGE_SECONDS] = [0.1, 0.5]
const ID = /^(?<run>[0-9a-z]+\.\d+)-(?<name>[a-z]+)(?:-(?<position>\d*)-(?<eta>[\d.]*))?$/

/**
 * All events that the state of a prediction implies.
 * @param problem why it has ended without the whole output.
 */
export function eventsOf(
  { record, job }: Prediction,
  object: PredictionObject,
  problem: ProblemDocument | undefined,
): PredictionEvent[] {
  const { id, status, output, queue, started_at, completed_at, metrics } = object
  // A job that is given back, moves to another lane or is retried runs anew, with all events.
  const attempt = job.state === 'missing' ? 1 : job.attempts + (job.state === 'waiting' ? 1 : 0)
  const run = `${(job.state === 'missing' ? record.created_at : job.addedAt).toString(36)}.${Math.max(1, attempt)}`
  const make = (event: EventName, data: unknown, detail = ''): PredictionEvent => ({
    id: `${run}-${event}${detail}`,
    event,
    data,
  })
  if (status === 'starting') {
    const { position = null, eta_seconds = null } = queue ?? {}
    return [make('queued', { id, status, position, eta_seconds }, `-${position ?? ''}-${eta_seconds ?? ''}`)]
  }
  const started = started_at === null ? [] : [make('started', { id, status: 'processing', started_at })]
  if (status === 'processing') return started
  const reason = status === 'failed' ? 'error' : status
  return [
    ...started,
    ...(output === null ? [] : [make('output', output)]),
    ...(problem === undefined ? [] : [make('error', problem)]),
    make('done', { id, status, ...(status === 'succeeded' ? {} : { reason }), metrics, completed_at }),
  ]
}

/** The events that come after the one with this id; all of them after an id of an earlier run, or an unknown one. */
export function laterEvents(events: PredictionEvent[], last: string | undefined): PredictionEvent[] {
  const before = partsOf(last)
  return events.filter((event) => {
    const { run, stage, position, eta } = partsOf(event.id)
    if (run !== before.run || stage > before.stage) return true
    return (
      stage === before.stage && event.event === 'queued' && (position !== before.position || differ(eta, before.eta))
    )
  })
}

function differ(eta: string, before: string): boolean {
  if (eta === '' || before === '') return eta !== before
  return Math.abs(Number(eta) - Number(before)) >= Math.max(CHANGE_SECONDS, CHANGE * Number(before))
}

function partsOf(eventId = '') {
  const { run = '', name = '', position = '', eta = '' } = ID.exec(eventId)?.groups ?? {}
  return { run, stage: EVENTS.indexOf(name as EventName), position, eta }
}
