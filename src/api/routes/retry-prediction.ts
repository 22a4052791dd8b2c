// Retries a prediction that failed, was canceled or was aborted.
import * as z from 'zod'
import { conflict, notFound } from '../../errors.ts'
import { workOf } from '../../fleet/work.ts'
import { admit, hasInteractiveRoom, takeWaitingPlace } from '../../predict/admission.ts'
import { admitMemory } from '../../predict/memory-admission.ts'
import { retryPrediction } from '../../predict/prediction-retry.ts'
import { hasEnded, type Prediction } from '../../predict/predictions.ts'
import { NO_DATA } from '../../queue/job-state.ts'
import { storedBytes } from '../../queue/result-columns.ts'
import type { Context } from '../context.ts'
import { startDeadline } from '../http/deadline.ts'
import { preferenceApplied } from '../http/headers/prefer.ts'
import type { ApiRequest } from '../http/route.ts'
import { requireDurable } from './capacity.ts'
import { predictionReply, statusOf } from './prediction-view.ts'
import { route } from './route.ts'
import { predictionObject } from './schema.ts'
import { timeLimit } from './submit-prediction.ts'

const prediction = { description: 'The prediction', schema: predictionObject }

export const retryRoute = route({
  method: 'post',
  path: '/v1/predictions/:id/retry',
  operationId: 'retryPrediction',
  tag: 'Predictions',
  summary: 'Run a prediction again that failed, was canceled or was aborted, under the same id',
  description: 'It is admitted as a new one. Without Cancel-After it has as much time as before.',
  requestHeaders: ['Prefer', 'Cancel-After'],
  isPredict: true,
  params: z.object({ id: z.string().toLowerCase().describe('A UUID') }),
  example: { params: { id: '0190f3f2-7c1e-7000-8000-000000000000' } },
  responses: {
    200: { ...prediction, description: 'It ended within the wait', headers: ['Preference-Applied'] },
    202: { ...prediction, description: 'It runs again; poll urls.get', headers: ['Preference-Applied'] },
  },
  errorStatuses: [400, 404, 409, 410, 422, 429, 503],
  handler: async (context, request) => {
    const retried = await retry(context, request)
    const headers = preferenceApplied(request.prefer)
    return predictionReply(context, retried, request.baseUrl, hasEnded(retried) ? 200 : 202, headers)
  },
})

/**
 * Admits the prediction as a new one, runs it again, and waits for its end as long as the client asks.
 * @returns the prediction, ended or not.
 * @throws AppError 404, 410; 409 when it succeeded, has not ended, or is being stopped; 422 and 429 as for a new one.
 */
async function retry(context: Context, request: ApiRequest<{ id: string }, unknown, unknown>): Promise<Prediction> {
  const { owner, params, prefer } = request
  const { predictions, webhooks, apiId, redis, producer, config } = context
  const found = await stoppedPrediction(context, owner, params.id)
  const { id, record, job } = found
  if (job.state === 'missing' || job.data === NO_DATA) throw conflict('the input of this prediction cannot be read')
  const model = await context.fleet.find(record.model)
  if (!model) throw notFound(`no worker has served "${record.model}" in the last days`)
  request.logModel(model.name)
  requireDurable(context)
  const cancelAfter = request.cancelAfter ?? record.cancel_after
  const work = workOf(model.costs, job.data.items, model.current.maxTokens)
  const waitMs = prefer.wait ?? 0
  const release = waitMs > 0 ? takeWaitingPlace(context, owner) : () => undefined
  const deadline = startDeadline(waitMs, request, context.drainTimeout.signal)
  try {
    const waits = waitMs > 0 && model.workers.length > 0 && hasInteractiveRoom(context, model, owner)
    const lane = waits ? 'interactive' : 'async'
    const limit = await timeLimit(context, model.name, lane, owner, cancelAfter)
    admit(context, { model }, { lane, owner, work, ...limit })
    const labels = model.current.labels.length
    const resultBytes = storedBytes(job.data.items.length, labels, context.resultVersion.current)
    admitMemory(context, 'kept', resultBytes)
    if (record.webhook !== undefined) {
      await webhooks.requireRoom(owner)
      await webhooks.settleEnd(id)
    }
    const options = { apiId, redis, producer, resultTtl: config.resultTtl }
    await retryPrediction(options, found, { lane, work, weight: context.weightOf(owner), resultBytes, cancelAfter })
    if (waitMs === 0) return await predictions.find(owner, id.uuid)
    await predictions.waitFor(id, { model: record.model, lane }, deadline.signal, true)
    const after = await predictions.find(owner, id.uuid)
    if (!hasEnded(after)) await predictions.move(after, 'async', work)
    return after
  } finally {
    deadline.end()
    release()
  }
}

/** The prediction when it can be retried. A worker that still runs a canceled one is waited for. */
async function stoppedPrediction({ predictions }: Context, owner: string, uuid: string): Promise<Prediction> {
  const found = await predictions.find(owner, uuid)
  const status = statusOf(found.job, found.record.canceled_at !== undefined)
  if (status !== 'failed' && status !== 'canceled' && status !== 'aborted') {
    throw conflict(`this prediction is ${status}; one that failed, was canceled or was aborted can be retried`)
  }
  if (hasEnded(found)) return found
  if (!(await predictions.stopped(found))) {
    throw conflict('this prediction is canceled but still running; repeat the retry in a moment')
  }
  return predictions.find(owner, uuid)
}
