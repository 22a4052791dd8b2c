// Creates a prediction with an id, and waits for its end.
import { randomBytes } from 'node:crypto'
import { uuidv7 } from 'uuidv7'
import { workOf } from '../../fleet/work.ts'
import { admit, hasInteractiveRoom, type NewWork, takeWaitingPlace } from '../../predict/admission.ts'
import type { Inputs } from '../../predict/inputs.ts'
import { admitMemory, ownerMemoryLimit, ownerMemoryRefusal, predictionBytes } from '../../predict/memory-admission.ts'
import { type ResolvedModel } from '../../predict/model-resolver.ts'
import type { PredictionLane, PredictionWebhook } from '../../predict/new-prediction.ts'
import { hasEnded, type Prediction } from '../../predict/predictions.ts'
import { readWorkDue } from '../../queue/flow.ts'
import type { TextsJob } from '../../queue/job.ts'
import type { JobSnapshot } from '../../queue/job-state.ts'
import { queueName } from '../../queue/names.ts'
import { storedBytes } from '../../queue/result-columns.ts'
import { requestHash, uuidFromKey } from '../../records/idempotency.ts'
import { newWaitingCaller } from '../../records/waiting-callers.ts'
import type { Context } from '../context.ts'
import { startDeadline } from '../http/deadline.ts'
import { preferenceApplied } from '../http/headers/prefer.ts'
import type { ApiRequest } from '../http/route.ts'
import { replayedHeader } from './answer-headers.ts'
import { requireDurable } from './capacity.ts'

export interface Submission {
  target: ResolvedModel
  inputs: Inputs
  metadata: Record<string, string>
  /** The route's path, part of the request's hash: the same key on another route is another request. */
  route: string
  /** Milliseconds to wait for the end; 0 returns immediately. */
  waitMs: number
  /** The id that the client chose; undefined: one is generated. */
  uuid?: string | undefined
  webhook?: PredictionWebhook | undefined
  /** How often it runs again after an infrastructure error; undefined: the default. */
  retries?: number | undefined
}

export interface Submitted {
  prediction: Prediction
  ended: boolean
  /** Whether an earlier request created it. */
  replayed: boolean
  /** Location, Preference-Applied, Idempotency-Replayed. */
  headers: Record<string, string>
}

/**
 * @throws AppError 429 when the queue is full, 422 when the key or id belongs to another request, 503 without Redis.
 */
export async function submit(
  context: Context,
  request: ApiRequest<unknown, unknown, unknown>,
  submission: Submission,
): Promise<Submitted> {
  const { owner, idempotencyKey, cancelAfter, prefer, baseUrl, traceparent } = request
  const { target, inputs, metadata, waitMs, webhook, retries } = submission
  request.logModel(target.model.name)
  const model = target.model.name
  const uuid = submission.uuid ?? (idempotencyKey === undefined ? uuidv7() : uuidFromKey(owner, idempotencyKey))
  const id = { owner, uuid }
  const asked = { model, revision: target.revision, inputs, metadata, webhook, cancelAfter, retries }
  const hash = requestHash(submission.route, asked)
  const mayBeReplay = submission.uuid !== undefined || idempotencyKey !== undefined
  // What was accepted is answered, however much other work waits.
  const isReplay = mayBeReplay && (await context.predictions.isReplay(id, hash))
  if (!isReplay) requireDurable(context)
  const work = workOf(target.model.costs, inputs.items, target.model.current.maxTokens)
  const release = waitMs > 0 ? takeWaitingPlace(context, owner) : () => undefined
  const deadline = startDeadline(waitMs, request, context.drainTimeout.signal)
  try {
    const waits = waitMs > 0 && hasInteractiveRoom(context, target.model, owner)
    const lane = waits && target.model.workers.length > 0 ? 'interactive' : 'async'
    const limit = await timeLimit(context, model, lane, owner, cancelAfter)
    if (!isReplay) admit(context, target, { lane, owner, work, ...limit })
    const labels = target.model.current.labels.length
    const resultBytes = storedBytes(inputs.items.length, labels, context.resultVersion.current)
    // The body of a webhook is a copy of input and output.
    const bytes = predictionBytes(charactersOf(inputs), resultBytes) * (webhook === undefined ? 1 : 2)
    if (!isReplay) admitMemory(context, 'kept', bytes)
    request.trace?.admitted()
    // The waiter is registered before the job is added, so that no reply is missed. The reply of a replayed request may
    // be sent to another api.
    const end = waitMs > 0 ? context.predictions.waitFor(id, { model, lane }, deadline.signal, mayBeReplay) : undefined
    const caller = waitMs > 0 ? newWaitingCaller(waitMs) : undefined
    const { replayed, record, data } = await context.predictions.create(id, {
      model,
      ...(target.revision === undefined ? {} : { revision: target.revision }),
      inputs,
      metadata,
      hash,
      memory: { result: resultBytes, total: bytes, ownerLimit: ownerLimitOf(context, owner) },
      refusal: () => ownerMemoryRefusal(context),
      lane,
      weight: context.weightOf(owner),
      work,
      traceparent,
      webhook,
      streamToken: !context.keys.isOpen ? randomBytes(16).toString('base64url') : undefined,
      cancelAfter,
      caller,
      retries,
    })
    await end
    request.trace?.answered()
    const isNew = !replayed && waitMs === 0
    const prediction = isNew ? { id, record, job: addedJob(data) } : await context.predictions.find(owner, uuid)
    if (caller && !hasEnded(prediction)) await context.predictions.stopWaiting(prediction, caller, work)
    const headers = {
      Location: `${baseUrl}/v1/predictions/${uuid}`,
      ...preferenceApplied(prefer),
      ...replayedHeader(replayed),
    }
    return { prediction, ended: hasEnded(prediction), replayed, headers }
  } finally {
    deadline.end()
    release()
  }
}

/** The state of a job that has just been added, without a read from Redis. */
function addedJob(data: TextsJob): JobSnapshot {
  return { state: 'waiting', data, addedAt: Date.now(), attempts: 0, position: undefined }
}

/** The time that a prediction may take, and the work that runs before it in the async lane, where deadlines have an order. */
export async function timeLimit(
  { redis }: Context,
  model: string,
  lane: PredictionLane,
  owner: string,
  cancelAfter: number | undefined,
): Promise<Pick<NewWork, 'within' | 'before'>> {
  if (cancelAfter === undefined) return {}
  if (lane === 'interactive') return { within: cancelAfter }
  const before = await readWorkDue(redis, queueName(model, lane), owner, Date.now() + cancelAfter)
  return { within: cancelAfter, before }
}

function charactersOf({ items }: Inputs): number {
  return items.reduce((sum, { text, pair }) => sum + text.length + (pair?.length ?? 0), 0)
}

/** A single owner needs no share. */
function ownerLimitOf({ keys, memory, weightOf }: Context, owner: string): number | undefined {
  return keys.owners < 2 ? undefined : ownerMemoryLimit(memory, weightOf(owner))
}
