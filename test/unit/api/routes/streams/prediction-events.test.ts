import { describe, expect, it } from 'vitest'
import type { PredictionObject } from '../../../../../src/api/routes/schema.ts'
import { eventsOf, laterEvents, type PredictionEvent } from '../../../../../src/api/routes/streams/prediction-events.ts'
import type { Prediction } from '../../../../../src/predict/predictions.ts'
import type { JobSnapshot } from '../../../../../src/queue/job-state.ts'

const data = { v: 1, model: 'm', items: [], truncate: 'right' as const, replyTo: 'a' }
const waiting = (attempts = 0, addedAt = 36): JobSnapshot => ({
  state: 'waiting',
  data,
  addedAt,
  attempts,
  position: 3,
})
const active: JobSnapshot = { state: 'active', data, addedAt: 36, attempts: 1, startedAt: 40 }
const ended: JobSnapshot = { state: 'failed', data, addedAt: 36, attempts: 1, finishedOn: 50 }
const scores = [{ label: 'a', score: 1 }]
const problem = { status: 424, detail: 'failed' } as never

function events(job: JobSnapshot, fields: Partial<PredictionObject>, failure?: never): PredictionEvent[] {
  const object = { id: 'x', output: null, queue: null, started_at: null, completed_at: null, metrics: {}, ...fields }
  return eventsOf({ record: { created_at: 35 }, job } as Prediction, object as PredictionObject, failure)
}
const queued = (position: number | null, eta: number | null, job = waiting()) =>
  events(job, { status: 'starting', queue: { position, eta_seconds: eta } })
const started = events(active, { status: 'processing', started_at: '2026' })
const succeeded = events(ended, { status: 'succeeded', started_at: '2026', output: scores, completed_at: '2027' })
const idsOf = (of: PredictionEvent[]) => of.map(({ id }) => id)

describe('the events of a prediction', () => {
  it('are those of its state, with ids', () => {
    expect(queued(3, 1.5)).toEqual([
      {
        id: '10.1-queued-3-1.5',
        event: 'queued',
        data: { id: 'x', status: 'starting', position: 3, eta_seconds: 1.5 },
      },
    ])
    expect(started).toEqual([
      { id: '10.1-started', event: 'started', data: { id: 'x', status: 'processing', started_at: '2026' } },
    ])
    expect(succeeded).toMatchObject([
      { id: '10.1-started' },
      { id: '10.1-output', event: 'output', data: scores },
      { id: '10.1-done', event: 'done', data: { id: 'x', status: 'succeeded', metrics: {}, completed_at: '2027' } },
    ])
  })

  it.each([
    ['failed', 'error'],
    ['canceled', 'canceled'],
    ['aborted', 'aborted'],
  ] as const)('of one that is %s are an error and the reason', (status, reason) => {
    const of = events(ended, { status }, problem)
    expect(of).toMatchObject([
      { event: 'error', data: problem },
      { event: 'done', data: { status, reason } },
    ])
  })

  it('of one with a failed text have the output of the others', () => {
    const of = events(ended, { status: 'failed', output: scores }, problem)
    expect(of.map(({ event }) => event)).toEqual(['output', 'error', 'done'])
  })
})

describe('after an event', () => {
  it('come the later ones of the same run', () => {
    expect(idsOf(laterEvents(succeeded, undefined))).toEqual(idsOf(succeeded))
    expect(idsOf(laterEvents(succeeded, queued(3, 1)[0]?.id))).toEqual(idsOf(succeeded))
    expect(idsOf(laterEvents(succeeded, started[0]?.id))).toEqual(['10.1-output', '10.1-done'])
    expect(laterEvents(succeeded, '10.1-done')).toEqual([])
  })

  it.each(['', 'nonsense', '10.1-', '9.1-done', `${'9'.repeat(100)}-done`])('of another run, all: %s', (id) => {
    expect(laterEvents(succeeded, id)).toEqual(succeeded)
  })

  it('queued is sent again when place or time have changed noticeably', () => {
    const last = queued(3, 20)[0]?.id
    expect(laterEvents(queued(3, 20), last)).toEqual([])
    expect(laterEvents(queued(3, 21.9), last)).toEqual([])
    expect(laterEvents(queued(3, 22), last)).toHaveLength(1)
    expect(laterEvents(queued(2, 20), last)).toHaveLength(1)
    expect(laterEvents(queued(3, null), last)).toHaveLength(1)
    expect(laterEvents(queued(null, null), queued(null, null)[0]?.id)).toEqual([])
  })

  it('a job that is given back, or moves to another lane, runs anew', () => {
    expect(laterEvents(queued(3, 1, waiting(1)), started[0]?.id)).toHaveLength(1)
    expect(laterEvents(queued(3, 1, waiting(0, 99)), started[0]?.id)).toHaveLength(1)
  })

  it('the end of one that is canceled while it waits is the end that its worker stores', () => {
    const canceled = events(waiting(), { status: 'canceled' }, problem)
    expect(laterEvents(events(ended, { status: 'canceled' }, problem), canceled.at(-1)?.id)).toEqual([])
  })
})
