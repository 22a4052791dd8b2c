// Makes a prediction of its own, and waits for it as long as was asked for.
import { uuidv7 } from 'uuidv7'
import type { TextsJob } from '../../queue/job.ts'
import { requestHash, uuidFromKey } from '../../records/idempotency.ts'
import type { Context } from '../context.ts'
import { type ResolvedModel } from '../../predict/model-resolver.ts'
import type { Inputs } from '../../predict/inputs.ts'
import type { JobSnapshot } from '../../queue/job-state.ts'
import { startDeadline } from '../http/deadline.ts'
import { preferenceApplied } from '../http/prefer.ts'
import { type Prediction, hasEnded } from '../../predict/predictions.ts'
import type { ApiRequest } from '../http/route.ts'
import { admit } from '../../predict/admission.ts'

export interface Submission {
  target: ResolvedModel
  inputs: Inputs
  metadata: Record<string, string>
  /** The route's path: the same key on another route is another request. */
  route: string
  /** Milliseconds; 0: do not wait. */
  waitMs: number
  /** An id of the caller's choice. */
  uuid?: string | undefined
}

export interface Submitted {
  prediction: Prediction
  ended: boolean
  /** Location, Preference-Applied, Idempotency-Replayed. */
  headers: Record<string, string>
}

/** @throws AppError 429 when too much waits, 422 when key or id were used with another request, 503 without Redis. */
export async function submit(
  context: Context,
  request: ApiRequest<unknown, unknown, unknown>,
  asked: Submission,
): Promise<Submitted> {
  const { owner, idempotencyKey, prefer, baseUrl, disconnected, traceparent } = request
  const { target, inputs, metadata, waitMs } = asked
  admit(context, target, 'prediction')
  const uuid = asked.uuid ?? (idempotencyKey === undefined ? uuidv7() : uuidFromKey(owner, idempotencyKey))
  const mayRepeat = asked.uuid !== undefined || idempotencyKey !== undefined
  const id = { owner, uuid }
  const model = target.model.name
  const patience = startDeadline(waitMs, disconnected, context.drainTimeout.signal)
  try {
    // Registered before the job is added, so that no reply comes too early. A repeat may be replied to elsewhere.
    const end = waitMs > 0 ? context.predictions.waitFor(id, { model }, patience.signal, mayRepeat) : undefined
    const { replayed, record, data } = await context.predictions.create(id, {
      model,
      ...(target.revision === undefined ? {} : { revision: target.revision }),
      inputs,
      metadata,
      hash: requestHash(asked.route, { model, revision: target.revision, inputs, metadata }),
      traceparent,
    })
    await end
    const isNew = !replayed && waitMs === 0
    const prediction = isNew ? { id, record, job: addedJob(data) } : await context.predictions.find(owner, uuid)
    const headers = {
      Location: `${baseUrl}/v1/predictions/${uuid}`,
      ...preferenceApplied(prefer),
      ...(replayed ? { 'Idempotency-Replayed': 'true' } : {}),
    }
    return { prediction, ended: hasEnded(prediction), headers }
  } finally {
    patience.end()
  }
}

/** The job of a caller who does not wait for it: not read back, since it is known to be there. */
function addedJob(data: TextsJob): JobSnapshot {
  return { state: 'waiting', data, addedAt: Date.now(), attempts: 0, position: undefined }
}
