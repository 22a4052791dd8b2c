// Admission control: accepts or rejects a request by the last sample of the load, without a Redis call.
import { AppError, unavailable } from '../errors.ts'
import { type ModelsContext, type ResolvedModel, rejectionReason } from './model-resolver.ts'
import type { Predictions } from './predictions.ts'
import type { SyncPredictor } from './sync-predictor.ts'

export interface Load {
  /** Texts that wait or run for the model, estimated. */
  texts: number
  /** Texts a second of the live workers; 0 without a live worker or a measurement. */
  capacity: number
  /** Calls that wait in this process. */
  waitingCalls: number
}

export interface AdmissionLimits {
  maxWaiting: number
  /** Milliseconds of work that may wait. */
  maxQueue: number
}

/** The parts of the api that admission reads. */
export interface AdmissionContext extends ModelsContext {
  config: ModelsContext['config'] & {
    /** The longest wait of a plain call, milliseconds. */
    waitTimeout: number
    /** Milliseconds of work that may wait. */
    maxQueueSeconds: number
    /** Calls that may wait in this process. */
    maxWaiting: number
  }
  syncPredictor: Pick<SyncPredictor, 'waiting' | 'inFlight'>
  predictions: Pick<Predictions, 'waiting'>
  metrics: { refused: { inc(labels: { reason: OverloadReason }): void } }
}

export type OverloadReason = 'queue_full' | 'too_many_waiting' | 'redis_full'

/** A 429; `reason` is a label of the metric. */
export class OverloadedError extends AppError {
  readonly reason: OverloadReason

  constructor(reason: OverloadReason, detail: string, retryAfterSeconds: number) {
    super('Overloaded', 429, detail, { headers: { 'Retry-After': String(retryAfterSeconds) } })
    this.reason = reason
  }
}

/** Milliseconds until the waiting texts are done; 0 when the workers' speed is unknown. */
export function expectedWait(load: Pick<Load, 'texts' | 'capacity'>): number {
  return load.capacity > 0 ? (load.texts / load.capacity) * 1_000 : 0
}

/**
 * Compares the load with the limits.
 * @param random 0 to 1: jitter that spreads the retries of callers.
 * @throws OverloadedError (429) with Retry-After: the seconds until the wait is short enough again, 1 to 30.
 */
export function checkLimits(load: Load, limits: AdmissionLimits, random: number): void {
  const excess = expectedWait(load) - limits.maxQueue
  if (excess > 0) {
    const seconds = Math.ceil(expectedWait(load) / 1_000)
    throw new OverloadedError('queue_full', `about ${seconds} s of work are waiting`, retryAfter(excess, random))
  }
  if (load.waitingCalls >= limits.maxWaiting) {
    throw new OverloadedError('too_many_waiting', `${load.waitingCalls} calls are waiting`, retryAfter(1_000, random))
  }
}

function retryAfter(milliseconds: number, random: number): number {
  return Math.min(30, Math.max(1, Math.ceil((milliseconds / 1_000) * (1 + random / 2))))
}

/** plain: the caller waits for the response; prediction: accepted work that may wait longer. */
export type Urgency = 'plain' | 'prediction'

/** Accepts a call or throws. @throws AppError 503 when a plain call has no live worker; OverloadedError (429). */
export function admit(context: AdmissionContext, { model }: ResolvedModel, urgency: Urgency): void {
  if (urgency === 'plain' && model.workers.length === 0) {
    const reason = rejectionReason(context, model.name)
    throw unavailable(`no live worker serves "${model.name}"${reason ? `; it is refused: ${reason}` : ''}`)
  }
  const { config, metrics } = context
  const load = {
    texts: waitingTexts(context, model.name),
    capacity: model.capacity,
    waitingCalls: waitingCalls(context),
  }
  const maxQueue = urgency === 'plain' ? config.waitTimeout / 2 : config.maxQueueSeconds
  try {
    checkLimits(load, { maxWaiting: config.maxWaiting, maxQueue }, Math.random())
  } catch (error) {
    if (error instanceof OverloadedError) metrics.refused.inc({ reason: error.reason })
    throw error
  }
}

/** Calls that wait in this process. Chunks of batches are not counted: no call waits for them. */
export function waitingCalls({
  syncPredictor,
  predictions,
}: Pick<AdmissionContext, 'syncPredictor' | 'predictions'>): number {
  return syncPredictor.waiting + predictions.waiting
}

/** Texts that wait or run for all apis: this api's are counted, and another api's jobs are assumed to be as large. */
export function waitingTexts(context: Pick<AdmissionContext, 'syncPredictor' | 'fleet'>, model: string): number {
  const { waiting, active } = context.fleet.depth(model).interactive
  const own = context.syncPredictor.inFlight(model)
  const textsPerJob = own.jobs > 0 ? own.texts / own.jobs : 1
  return Math.max(own.texts, (waiting + active) * textsPerJob)
}
