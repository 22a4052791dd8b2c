// Builds the Prediction object from a record and its job.
import type { FleetView } from '../../fleet/fleet.ts'
import { errorsOf, modelRecordOf, scoreRow } from '../../predict/answers.ts'
import type { AnswerOptions } from '../../predict/new-prediction.ts'
import type { ListedPrediction } from '../../predict/prediction-list.ts'
import type { Prediction, Predictions } from '../../predict/predictions.ts'
import { type Item, isFailed, type TextsResult } from '../../queue/job.ts'
import { type JobSnapshot, NO_DATA } from '../../queue/job-state.ts'
import { linkToken } from '../http/keys/link-token.ts'
import type { RouteReply } from '../http/route.ts'
import type { PredictionObject, PredictionStatus } from './schema.ts'

/**
 * @param baseUrl prefix of `urls`.
 * @throws AppError 409 when the labels of the result's revision are not available; NewerVersionError (503).
 */
export async function toPredictionObject(
  prediction: Prediction,
  fleet: FleetView,
  baseUrl: string,
): Promise<PredictionObject> {
  const { id, record, job } = prediction
  if (job.state !== 'missing' && job.newer) throw job.newer
  const options = JSON.parse(record.options) as AnswerOptions
  const result = job.state === 'completed' ? job.result : undefined
  const startedAt = startOf(job)
  const endedAt = job.state === 'completed' || job.state === 'failed' ? job.finishedOn : undefined
  const status = statusOf(job, record.canceled_at !== undefined)
  const failed = result && status !== 'canceled' ? errorsOf(result.rows) : []
  return {
    id: id.uuid,
    model: record.model,
    version: result?.revision || record.revision || servedRevision(fleet, record.model),
    status,
    input: inputOf(job, options),
    output: result?.rows.length && status !== 'canceled' ? await outputOf(result, record.model, options, fleet) : null,
    error: errorOf(job, status, failed.length, record.canceled_at !== undefined),
    ...(failed.length > 0 ? { errors: failed } : {}),
    logs: '',
    metrics: metricsOf(record.retried_at ?? record.created_at, startedAt, endedAt, result),
    created_at: new Date(record.created_at).toISOString(),
    started_at: startedAt === undefined ? null : new Date(startedAt).toISOString(),
    completed_at: endedAt === undefined ? null : new Date(endedAt).toISOString(),
    deadline: record.deadline === undefined ? null : new Date(record.deadline).toISOString(),
    urls: urlsOf(prediction, baseUrl),
    queue: queueOf(prediction, fleet),
    attempts: record.attempts + (job.state === 'missing' ? 0 : (job.retries ?? 0)),
    metadata: JSON.parse(record.metadata) as Record<string, string>,
  }
}

/** The answer of a route with one prediction. */
export async function predictionReply(
  { predictions, fleet }: { predictions: Pick<Predictions, 'withWorkBefore'>; fleet: FleetView },
  prediction: Prediction,
  baseUrl: string,
  status: number,
  headers: Record<string, string> = {},
): Promise<RouteReply> {
  const body = await toPredictionObject(await predictions.withWorkBefore(prediction), fleet, baseUrl)
  // A client that waited treats `processing` without an output as the result; at `starting` it continues polling.
  if (status === 202 && body.status === 'processing') body.status = 'starting'
  return { status, headers: { ...headers, 'Cache-Control': 'no-cache' }, body }
}

/** A prediction as a list shows it: without what was left out because of its size. */
export async function toListedObject(
  { omitted, failed, ...prediction }: ListedPrediction,
  fleet: FleetView,
  baseUrl: string,
): Promise<PredictionObject> {
  const object = await toPredictionObject(prediction, fleet, baseUrl)
  if (failed > 0 && object.status === 'succeeded') {
    object.status = 'failed'
    object.error = 'some of the inputs could not be classified'
  }
  return omitted.length === 0 ? object : { ...object, omitted }
}

/** The revision that would compute it now: Replicate's Python client accepts no prediction without a version. */
function servedRevision(fleet: FleetView, model: string): string {
  return fleet.models().find(({ name }) => name === model)?.current.revision ?? 'unknown'
}

/** Replicate's clients read `stream`: that of Node sends no API key with it, that of Python knows no other events. */
function urlsOf({ id, record }: Prediction, baseUrl: string): PredictionObject['urls'] {
  const get = `${baseUrl}/v1/predictions/${id.uuid}`
  const token = record.stream_token === undefined ? '' : `&token=${linkToken(id.owner, record.stream_token)}`
  return { get, cancel: `${get}/cancel`, stream: `${get}/stream?events=output,error,done${token}` }
}

/** The status that docs/state-machine.md defines for a prediction. */
export function statusOf(job: JobSnapshot, canceled: boolean): PredictionStatus {
  if (canceled) return 'canceled'
  switch (job.state) {
    case 'completed':
      return statusOfResult(job.result)
    case 'failed':
      return 'failed'
    case 'active':
      return 'processing'
    case 'waiting':
    case 'missing':
      return 'starting'
  }
}

function statusOfResult({ outcome, rows }: TextsResult): PredictionStatus {
  switch (outcome) {
    case 'done':
      return rows.some(isFailed) ? 'failed' : 'succeeded'
    case 'revision_gone':
      return 'failed'
    case 'canceled':
    case 'aborted':
      return outcome
  }
}

/** Epoch milliseconds at which a worker took the job; undefined: none has. */
function startOf(job: JobSnapshot): number | undefined {
  if (job.state === 'active') return job.startedAt
  return job.state === 'completed' && job.result.outcome !== 'aborted' ? job.result.startedAt : undefined
}

function errorOf(job: JobSnapshot, status: PredictionStatus, failedRows: number, byCaller: boolean): string | null {
  if (failedRows > 0) return `${failedRows} of the inputs could not be classified`
  if (status === 'aborted') return 'the deadline passed before a worker started'
  if (status === 'canceled' && !byCaller) return 'the deadline passed while it ran'
  if (status !== 'failed') return null
  return job.state === 'completed'
    ? 'no worker serves this revision of the model any more'
    : 'the workers could not run this prediction'
}

async function outputOf(result: TextsResult, model: string, options: AnswerOptions, fleet: FleetView) {
  const record = await modelRecordOf(fleet, model, result.revision)
  const scored = result.rows.map((row) => scoreRow(row, record, options.scores))
  if (!options.single) return scored
  const [only] = scored
  return Array.isArray(only) ? only : null
}

function inputOf(job: JobSnapshot, { single, truncate, scores }: AnswerOptions): Record<string, unknown> {
  const parameters = {
    ...(scores.topK === undefined ? {} : { top_k: scores.topK }),
    ...(scores.fn === undefined ? {} : { function_to_apply: scores.fn }),
  }
  if (job.state !== 'missing' && job.data === NO_DATA) return {}
  const items = job.state === 'missing' ? [] : job.data.items.map(toInputValue)
  return {
    ...(single && typeof items[0] === 'string' ? { text: items[0] } : { inputs: items }),
    ...(truncate === 'no' ? { truncate: false } : truncate === 'left' ? { truncation_direction: 'Left' } : {}),
    ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
  }
}

function toInputValue({ text, pair }: Item): string | [string, string] {
  return pair === undefined ? text : [text, pair]
}

/** Times in seconds, as in Replicate's API. */
function metricsOf(
  createdAt: number,
  startedAt: number | undefined,
  endedAt: number | undefined,
  result?: TextsResult,
) {
  const rows = result?.rows.flatMap((row) => (isFailed(row) ? [] : [row])) ?? []
  const seconds = (from: number, to: number) => Math.max(0, to - from) / 1_000
  return {
    ...(startedAt === undefined ? {} : { queue_time: seconds(createdAt, startedAt) }),
    ...(startedAt === undefined || endedAt === undefined ? {} : { predict_time: seconds(startedAt, endedAt) }),
    ...(endedAt === undefined ? {} : { total_time: seconds(createdAt, endedAt) }),
    ...(rows.length === 0
      ? {}
      : {
          batch_size: Math.max(...rows.map(({ run }) => run)),
          tokens: rows.reduce((sum, { tokens }) => sum + tokens, 0),
          truncated: rows.filter(({ truncated }) => truncated).length,
        }),
  }
}

/**
 * `eta_seconds` is the time to the start. It comes from the work before the job when that was read, else
 * from the job's position and the average work of a job in its lane.
 */
function queueOf({ id, record, job, workBefore }: Prediction, fleet: FleetView): PredictionObject['queue'] {
  if (job.state !== 'waiting') return null
  const position = job.position ?? null
  const model = fleet.get(record.model)
  if (position === null || !model || model.processes === 0) return { position, eta_seconds: null }
  const ahead =
    workBefore === undefined ? fleet.averageWork(model.name, record.lane) * (position + 1) : workBefore * model.slowdown
  const eta = fleet.waitBehind(model, record.lane, id.owner, ahead) / 1_000
  return { position, eta_seconds: Math.round(eta * 1_000) / 1_000 }
}
