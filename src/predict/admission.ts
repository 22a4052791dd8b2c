// The one place that says "too much": decided in this process from what was sampled last, without a Redis call.
import { AppError, unavailable } from '../errors.ts'
import { type ModelsContext, type ResolvedModel, rejectionReason } from './model-resolver.ts'
import type { Predictions } from './predictions.ts'
import type { SyncPredictor } from './sync-predictor.ts'

export interface Load {
  /** Texts that wait or run for the model, as far as this process knows. */
  texts: number
  /** Texts a second that the live workers can do; 0: none is alive, or none has measured yet. */
  capacity: number
  /** Used share of Redis' memory, 0 to 1. */
  memoryShare: number
  /** Calls that wait in this process. */
  waitingCalls: number
}

export interface AdmissionLimits {
  maxWaiting: number
  /** Milliseconds of work that may wait. */
  maxQueue: number
}

/** What admission has to know of this process. */
export interface AdmissionContext extends ModelsContext {
  config: ModelsContext['config'] & {
    /** Milliseconds that a plain call waits at the most. */
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

/** From here on a full Redis would stop the workers too (docs/operations.md). */
const MEMORY_SHARE = 0.7

export type OverloadReason = 'queue_full' | 'too_many_waiting' | 'redis_full'

/** 429; `reason` is a metric's label. */
export class OverloadedError extends AppError {
  readonly reason: OverloadReason

  constructor(reason: OverloadReason, detail: string, retryAfterSeconds: number) {
    super('Overloaded', 429, detail, { headers: { 'Retry-After': String(retryAfterSeconds) } })
    this.reason = reason
  }
}

/** Milliseconds until what waits now is done; 0 when nothing is known of the workers' speed. */
export function expectedWait(load: Pick<Load, 'texts' | 'capacity'>): number {
  return load.capacity > 0 ? (load.texts / load.capacity) * 1_000 : 0
}

/** Refuses what fills Redis before it is full. @throws Refused (429). */
export function rejectWhenRedisFull({ fleet }: { fleet: { memoryShare: number } }): void {
  if (hasRedisHeadroom(fleet.memoryShare)) return
  throw new OverloadedError('redis_full', 'the queue is full', retryAfter(10_000, Math.random()))
}

/** Whether Redis may be given more. @param memoryShare used share of its memory, 0 to 1. */
export function hasRedisHeadroom(memoryShare: number): boolean {
  return memoryShare < MEMORY_SHARE
}

/**
 * Lets a request in, or throws.
 * @param random 0 to 1, spreads the callers who come back.
 * @throws Refused (429) with Retry-After: the seconds until the wait is short enough again, 1 to 30.
 */
export function checkLimits(load: Load, limits: AdmissionLimits, random: number): void {
  const excess = expectedWait(load) - limits.maxQueue
  if (!hasRedisHeadroom(load.memoryShare))
    throw new OverloadedError('redis_full', 'the queue is full', retryAfter(10_000, random))
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

/** plain: somebody waits, and gives up; prediction: it is promised, and may wait. */
export type Urgency = 'plain' | 'prediction'

/** Lets the call in. @throws AppError 503 when a plain call has no live worker; Refused (429) when too much waits. */
export function admit(context: AdmissionContext, { model }: ResolvedModel, urgency: Urgency): void {
  if (urgency === 'plain' && model.workers.length === 0) {
    const reason = rejectionReason(context, model.name)
    throw unavailable(`no live worker serves "${model.name}"${reason ? `; it is refused: ${reason}` : ''}`)
  }
  const { config, fleet, metrics } = context
  const load = {
    texts: waitingTexts(context, model.name),
    capacity: model.capacity,
    memoryShare: fleet.memoryShare,
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

/** Callers that wait in this process. Chunks of batches wait too, but nobody waits for them. */
export function waitingCalls({
  syncPredictor,
  predictions,
}: Pick<AdmissionContext, 'syncPredictor' | 'predictions'>): number {
  return syncPredictor.waiting + predictions.waiting
}

/** Texts that wait or run, all apis together: ours are known, a job of another api is taken to be as large as ours. */
export function waitingTexts(context: Pick<AdmissionContext, 'syncPredictor' | 'fleet'>, model: string): number {
  const { waiting, active } = context.fleet.depth(model).interactive
  const own = context.syncPredictor.inFlight(model)
  const textsPerJob = own.jobs > 0 ? own.texts / own.jobs : 1
  return Math.max(own.texts, (waiting + active) * textsPerJob)
}
