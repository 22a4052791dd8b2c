// What a new prediction becomes: the fields of its record, and the data of its job.
import { JOB_VERSION, type TextsJob } from '../queue/job.ts'
import type { WebhookEvent } from '../records/deliveries.ts'
import type { OwnedId } from '../records/ids.ts'
import type { PredictionMemory, PredictionRecord } from '../records/predictions.ts'
import type { WaitingCaller } from '../records/waiting-callers.ts'
import type { Inputs } from './inputs.ts'

/** `interactive` while a caller waits for the prediction, else `async`. */
export type PredictionLane = PredictionRecord['lane']

export interface NewPrediction {
  model: string
  revision?: string
  inputs: Inputs
  metadata: Record<string, string>
  hash: string
  memory: PredictionMemory
  /** The error when the owner's predictions take too much memory. */
  refusal: () => Error
  lane: PredictionLane
  /** The owner's share of the compute. */
  weight: number
  /** Estimated milliseconds of one inference process. */
  work: number
  traceparent?: string | undefined
  webhook?: PredictionWebhook | undefined
  /** The secret of its stream's link. */
  streamToken?: string | undefined
  /** Milliseconds from now to its deadline. */
  cancelAfter?: number | undefined
  /** The caller that waits for it. */
  caller?: WaitingCaller | undefined
  /** How often it runs again after an infrastructure error; undefined: the default. */
  retries?: number | undefined
}

/** Where the events of a prediction are sent. */
export interface PredictionWebhook {
  url: string
  events: WebhookEvent[]
}

/** The options of the answer, stored in the record. */
export type AnswerOptions = Pick<Inputs, 'single' | 'truncate' | 'scores'>

/** @param now epoch milliseconds. */
export function recordOf(asked: NewPrediction, now: number): PredictionRecord {
  const { single, truncate, scores } = asked.inputs
  const { cancelAfter } = asked
  const kept: AnswerOptions = { single, truncate, scores }
  return {
    hash: asked.hash,
    model: asked.model,
    revision: asked.revision ?? '',
    options: JSON.stringify(kept),
    metadata: JSON.stringify(asked.metadata),
    lane: asked.lane,
    created_at: now,
    attempts: 1,
    ...webhookFields(asked.webhook),
    ...(asked.streamToken === undefined ? {} : { stream_token: asked.streamToken }),
    ...(cancelAfter === undefined ? {} : { cancel_after: cancelAfter, deadline: now + cancelAfter }),
  }
}

/** @param apiId the api that gets the reply. @param deadline epoch milliseconds. */
export function jobDataOf(
  { owner }: OwnedId,
  asked: NewPrediction,
  apiId: string,
  deadline: number | undefined,
): TextsJob {
  return {
    v: JOB_VERSION,
    model: asked.model,
    ...(asked.revision === undefined ? {} : { revision: asked.revision }),
    items: asked.inputs.items,
    truncate: asked.inputs.truncate,
    replyTo: apiId,
    owner,
    weight: asked.weight,
    ...(deadline === undefined ? {} : { deadline, due: deadline }),
    ...(asked.retries === undefined ? {} : { retries: asked.retries }),
    ...(asked.webhook === undefined ? {} : { reports: reportsOf(asked.webhook) }),
    ...(asked.traceparent === undefined ? {} : { trace: { traceparent: asked.traceparent } }),
  }
}

function webhookFields(webhook: PredictionWebhook | undefined) {
  return webhook === undefined ? {} : { webhook: webhook.url, webhook_events: JSON.stringify(webhook.events) }
}

function reportsOf({ events }: PredictionWebhook): string[] {
  return events.includes('start') ? ['start', 'end'] : ['end']
}
