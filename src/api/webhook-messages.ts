// What webhooks send: the objects that the routes answer with, when the event has come.
import type { Redis } from 'ioredis'
import type { FleetView } from '../fleet/fleet.ts'
import { jobRefOf, type Prediction } from '../predict/predictions.ts'
import { type JobSnapshot, readJob } from '../queue/job-state.ts'
import { type BatchRecord, readBatch, writeProgress } from '../records/batches.ts'
import type { WebhookEvent } from '../records/deliveries.ts'
import type { OwnedId } from '../records/ids.ts'
import { type PredictionRecord, readPrediction } from '../records/predictions.ts'
import type { ClaimedEvent } from '../records/webhook-events.ts'
import type { EventState, Message } from '../webhooks/outbox.ts'
import { toBatchObject } from './routes/batch-view.ts'
import { toPredictionObject } from './routes/prediction-view.ts'
import type { PredictionObject } from './routes/schema.ts'

export interface WebhookMessagesOptions {
  redis: Redis
  /** A readConnection, for inputs and outputs. */
  reads: Redis
  fleet: FleetView
  /** The base of addresses in the objects, without a trailing slash. */
  baseUrl: string
}

/** A larger prediction is sent without its input, and then without its output. */
const MAX_BODY_BYTES = 256 * 1_024

/** Returns the function that reads the state of an event. */
export function webhookMessages(options: WebhookMessagesOptions): (event: ClaimedEvent) => Promise<EventState> {
  return ({ kind, id }) => (kind === 'batch' ? ofBatch(options, id) : ofPrediction(options, id, kind))
}

async function ofBatch({ redis }: WebhookMessagesOptions, id: OwnedId): Promise<EventState> {
  const record = await readBatch(redis, id)
  if (record?.webhook === undefined) return { kind: 'gone' }
  const { webhook: url, created_at: createdAt } = record
  const body = JSON.stringify(toBatchObject({ id, record }))
  if (record.ended_at !== undefined) return { kind: 'due', messages: [{ event: 'completed', url, createdAt, body }] }
  const percent = progressOf(record)
  if (percent <= (record.webhook_sent ?? 0)) return { kind: 'waiting', since: createdAt }
  const onStored = () => writeProgress(redis, id, { webhook_sent: percent })
  return {
    kind: 'waiting',
    since: createdAt,
    messages: [{ event: 'progress', percent, url, createdAt, body, onStored }],
  }
}

/** The last multiple of the wanted percentage that a batch has reached; 0: none, or none is wanted. */
function progressOf({ webhook_progress: step, total, completed, failed }: BatchRecord): number {
  if (step === undefined || total === 0) return 0
  const percent = (100 * (completed + failed)) / total
  return percent >= 100 ? 0 : Math.floor(percent / step) * step
}

/** An ended prediction is read also when its retention has ended: the event is older. */
async function ofPrediction(options: WebhookMessagesOptions, id: OwnedId, kind: 'start' | 'end'): Promise<EventState> {
  const { redis, reads } = options
  const record = await readPrediction(redis, id)
  if (record?.webhook === undefined) return { kind: 'gone' }
  const { webhook: url, created_at: createdAt } = record
  const job = await readJob(reads, jobRefOf(id, record))
  const isCanceled = record.canceled_at !== undefined
  if (job.state === 'missing' && !isCanceled) {
    // It may be added now, or be moving to another lane.
    const isRecent = createdAt > Date.now() - 60_000 || (await readPrediction(redis, id))?.lane !== record.lane
    return isRecent ? { kind: 'waiting', since: createdAt } : { kind: 'gone' }
  }
  const prediction = { id, record, job }
  const message = async (event: WebhookEvent, of: Prediction): Promise<Message> => {
    return {
      event,
      url,
      createdAt,
      attempt: record.attempts,
      body: bodyOf(await toPredictionObject(of, options.fleet, options.baseUrl)),
    }
  }
  const started = startedOf(prediction)
  if (kind === 'start') {
    return started ? { kind: 'due', messages: [await message('start', started)] } : { kind: 'gone' }
  }
  if (!isCanceled && job.state !== 'completed' && job.state !== 'failed') return { kind: 'waiting', since: createdAt }
  const events = eventsOf(record)
  const messages: Message[] = []
  // The worker may have died before it reported the start; the delivery of a reported one exists.
  if (events.includes('start') && started && hasRun(job)) messages.push(await message('start', started))
  if (events.includes('completed')) messages.push(await message('completed', prediction))
  else if (events.includes('output') && hasRun(job) && !isCanceled) messages.push(await message('output', prediction))
  return { kind: 'due', messages }
}

function eventsOf({ webhook_events }: PredictionRecord): WebhookEvent[] {
  return JSON.parse(webhook_events ?? '[]') as WebhookEvent[]
}

function hasRun(job: JobSnapshot): boolean {
  return job.state === 'completed' && job.result.outcome === 'done'
}

/** The prediction as it was when its worker took it; undefined when none has. */
function startedOf({ id, record, job }: Prediction): Prediction | undefined {
  const { canceled_at: _canceled, ...uncanceled } = record
  if (job.state === 'active') return { id, record: uncanceled, job }
  if (job.state !== 'completed') return undefined
  const { data, addedAt, attempts, result } = job
  return { id, record: uncanceled, job: { state: 'active', data, addedAt, attempts, startedAt: result.startedAt } }
}

function bodyOf(object: PredictionObject): string {
  const whole = JSON.stringify(object)
  if (Buffer.byteLength(whole) <= MAX_BODY_BYTES) return whole
  const withoutInput = JSON.stringify({ ...object, input: {}, omitted: ['input'] })
  if (Buffer.byteLength(withoutInput) <= MAX_BODY_BYTES) return withoutInput
  const small = { ...object, input: {}, output: null, omitted: ['input', 'output'] }
  if (object.errors) small.errors = object.errors.slice(0, 100)
  return JSON.stringify(small)
}
