// Urgency of predictions: one that a caller waits for is in the interactive lane, another one in the async lane.
import { workOf } from '../../fleet/work.ts'
import { hasInteractiveRoom } from '../../predict/admission.ts'
import { hasEnded, type Prediction } from '../../predict/predictions.ts'
import { addWaitingCaller, newWaitingCaller } from '../../records/waiting-callers.ts'
import type { Context } from '../context.ts'

/**
 * Waits for the end of a prediction, which is urgent in the meantime, if it would start in time.
 * @param ms the longest wait, milliseconds. @param signal ends the wait. @returns the prediction after the wait, ended or not.
 * @throws AppError 404 or 410 when it was removed.
 */
export async function waitUrgently(
  context: Context,
  prediction: Prediction,
  ms: number,
  signal: AbortSignal,
): Promise<Prediction> {
  const { predictions, redis } = context
  const caller = newWaitingCaller(ms)
  await addWaitingCaller(redis, prediction.id, caller)
  const { id, record } = await promote(context, prediction)
  await predictions.waitFor(id, record, signal, true)
  const after = await predictions.find(id.owner, id.uuid)
  if (!hasEnded(after)) await predictions.stopWaiting(after, caller, await workOfPrediction(context, after))
  return after
}

async function promote(context: Context, prediction: Prediction): Promise<Prediction> {
  const { id, record } = prediction
  const model = await context.fleet.find(record.model)
  if (!model || record.lane === 'interactive' || !hasInteractiveRoom(context, model, id.owner)) return prediction
  const work = await workOfPrediction(context, prediction)
  if (!(await context.predictions.move(prediction, 'interactive', work))) return prediction
  context.fleet.load.add(model.name, 'interactive', id.owner, work)
  return { ...prediction, record: { ...record, lane: 'interactive' } }
}

async function workOfPrediction(context: Context, { record, job }: Prediction): Promise<number> {
  const model = await context.fleet.find(record.model)
  return model && job.state !== 'missing' ? workOf(model.costs, job.data.items, model.current.maxTokens) : 0
}
