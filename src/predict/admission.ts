// Admission control: accepts or rejects a request by the work that waits before it, without a Redis call.
import { AppError, unavailable } from '../errors.ts'
import type { ServedModel } from '../fleet/fleet.ts'
import { isMeasured } from '../fleet/work.ts'
import type { Lane } from '../queue/names.ts'
import { type ModelsContext, type ResolvedModel, rejectionReason } from './model-resolver.ts'
import type { PlaceLimiter } from './place-limiter.ts'

/** The parts of the api that admission reads. */
export interface AdmissionContext extends ModelsContext {
  config: ModelsContext['config'] & {
    /** The longest wait of a plain call, milliseconds. */
    waitTimeout: number
    /** Milliseconds that an owner's predictions may have to wait. */
    maxQueueSeconds: number
  }
  /** The weight of an owner. */
  weightOf: (owner: string) => number
  /** The places of calls that wait in this process, shared between owners. */
  waitingPlaces: Pick<PlaceLimiter, 'take' | 'held'>
  metrics: { refused: { inc(labels: { reason: OverloadReason }): void } }
}

/** The work that asks to be admitted. */
export interface NewWork {
  lane: Exclude<Lane, 'bulk'>
  owner: string
  /** Milliseconds of one inference process. */
  work: number
  /** Milliseconds from now in which it has to end; undefined: any time. */
  within?: number | undefined
  /** The owner's work in the lane that runs before it, milliseconds of one process; undefined: all of it. */
  before?: number | undefined
}

export type OverloadReason =
  | 'queue_full'
  | 'too_many_waiting'
  | 'too_many_batches'
  | 'too_many_webhooks'
  | 'too_many_uploads'
  | 'redis_full'
  | 'memory_share'
  | 'deadline_unreachable'

/** A 429; `reason` is a label of the metric. */
export class OverloadedError extends AppError {
  declare readonly reason: OverloadReason

  constructor(reason: OverloadReason, detail: string, retryAfterSeconds: number, members = {}) {
    super('Overloaded', 429, detail, { headers: { 'Retry-After': String(retryAfterSeconds) }, members, reason })
  }
}

/**
 * Compares an expected wait with its limit, in milliseconds.
 * @param random 0 to 1: jitter that spreads the retries of callers.
 * @throws OverloadedError (429) with Retry-After: the seconds until the wait is short enough again, 1 to 30.
 */
export function checkWait(wait: number, limit: number, random: number): void {
  if (wait <= limit) return
  const detail = `about ${Math.ceil(wait / 1_000)} s of work are waiting before yours`
  throw new OverloadedError('queue_full', detail, retryAfter(wait - limit, random))
}

/**
 * Compares the expected time to the end of work with the time in which it has to end, in milliseconds.
 * @param alone the time that it takes when no other work waits.
 * @throws AppError 422 when it takes too long alone; OverloadedError (429) when it does with the work before it. Both have
 * `earliest_completion`.
 */
export function checkDeadline(end: number, alone: number, within: number, random: number): void {
  if (end <= within) return
  const allowed = `${within / 1_000} s`
  const members = { code: 'deadline_unreachable', earliest_completion: new Date(Date.now() + end).toISOString() }
  if (alone > within) {
    const remedy = 'send fewer texts, or allow more time: a prediction or a batch may take longer than a call'
    const detail = `these texts alone take about ${Math.ceil(alone / 1_000)} s, and have to end in ${allowed}; ${remedy}`
    throw new AppError('Validation', 422, detail, { members })
  }
  const detail = `this would end in about ${Math.ceil(end / 1_000)} s, and has to end in ${allowed}`
  throw new OverloadedError('deadline_unreachable', detail, retryAfter(end - within, random), members)
}

function retryAfter(milliseconds: number, random: number): number {
  return Math.min(30, Math.max(1, Math.ceil((milliseconds / 1_000) * (1 + random / 2))))
}

/**
 * Accepts work and counts it, or throws; the caller adds it to its lane.
 * @throws AppError 503 when a caller waits and no live worker serves the model; OverloadedError (429).
 */
export function admit(context: AdmissionContext, { model }: ResolvedModel, asked: NewWork): void {
  const { lane, owner, work, within, before } = asked
  if (lane === 'interactive') requireWorker(context, model)
  const { fleet, weightOf } = context
  const wait = fleet.wait(model, lane, owner, weightOf, { before })
  const end = fleet.wait(model, lane, owner, weightOf, { before, work })
  const alone = (work * model.slowdown) / Math.max(1, model.processes)
  counted(context, () => {
    checkWait(wait, waitLimit(context, lane), Math.random())
    if (within !== undefined && isMeasured(model)) checkDeadline(end, alone, within, Math.random())
  })
  fleet.load.add(model.name, lane, owner, work)
}

/** Whether a caller's work would start in time in the interactive lane. */
export function hasInteractiveRoom(context: AdmissionContext, model: ServedModel, owner: string): boolean {
  return context.fleet.wait(model, 'interactive', owner, context.weightOf) <= waitLimit(context, 'interactive')
}

/** Takes one of the places of waiting calls. @returns the function that returns it. @throws OverloadedError (429). */
export function takeWaitingPlace(context: AdmissionContext, owner: string): () => void {
  return counted(context, () => {
    const release = context.waitingPlaces.take(owner, context.weightOf(owner))
    if (release) return release
    const detail = `${context.waitingPlaces.held(owner)} of your calls are waiting`
    throw new OverloadedError('too_many_waiting', detail, retryAfter(1_000, Math.random()))
  })
}

function waitLimit({ config }: AdmissionContext, lane: NewWork['lane']): number {
  return lane === 'interactive' ? config.waitTimeout / 2 : config.maxQueueSeconds
}

function requireWorker(context: AdmissionContext, { name, workers }: ServedModel): void {
  if (workers.length > 0) return
  const reason = rejectionReason(context, name)
  throw unavailable(`no live worker serves "${name}"${reason ? `; it is refused: ${reason}` : ''}`)
}

/** Counts a refusal in the metrics. */
export function counted<T>({ metrics }: Pick<AdmissionContext, 'metrics'>, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (error instanceof OverloadedError) metrics.refused.inc({ reason: error.reason })
    else if (error instanceof AppError) metrics.refused.inc({ reason: 'deadline_unreachable' })
    throw error
  }
}
