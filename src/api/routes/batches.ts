// Routes of batches, after OpenAI's API, with extensions.
// The extensions: inline requests, retry, progress events, and rows while the batch runs.
import * as z from 'zod'
import type { BatchInput, FoundBatch, NewBatch } from '../../batches/batch.ts'
import type { CreatedBatch } from '../../batches/batches.ts'
import { isBatchEndpoint } from '../../batches/endpoints.ts'
import { parseDuration } from '../../env.ts'
import { invalid, type Problem } from '../../errors.ts'
import { counted } from '../../predict/admission.ts'
import { admitMemory } from '../../predict/memory-admission.ts'
import { BATCHES_LIST, type BatchRecord, readBatches } from '../../records/batches.ts'
import { requestHash } from '../../records/idempotency.ts'
import { urlProblem } from '../../validation/addresses.ts'
import type { Context } from '../context.ts'
import { batchId, integerInQuery, listObject, listOf, uuidFromId } from '../http/openai-format.ts'
import type { HeaderName } from '../http/openapi-headers.ts'
import { pageAfter } from '../http/pagination.ts'
import { type ApiRequest, type Route, type RouteReply, Streamed } from '../http/route.ts'
import { withHeartbeats } from '../http/streams/heartbeat.ts'
import { sseReply } from '../http/streams/sse.ts'
import { replayedHeader } from './answer-headers.ts'
import { toBatchObject } from './batch-view.ts'
import { requireDurable } from './capacity.ts'
import { route } from './route.ts'
import { type BatchBody, batchObject, type Schemas } from './schema.ts'
import { checkWebhook } from './webhooks.ts'

const EXAMPLE_ID = 'batch_0190f3f2-7c1e-7000-8000-000000000000'
const EXAMPLE_BODY = {
  requests: [
    { custom_id: 'a', body: { inputs: 'She saw him.' } },
    { custom_id: 'b', body: { inputs: 'Her saw he.' } },
  ],
  endpoint: '/predict',
  completion_window: '24h',
}
/** Pre-signed URLs contain tokens of more than a thousand characters. */
const MAX_URL_CHARS = 8_192
/** Longer ones would outlive the input file. */
const MAX_WINDOW_MS = 30 * 24 * 3_600_000
const idParams = z.object({ id: z.string() })
const example = { params: { id: EXAMPLE_ID } }
const batchResponse = { description: 'The batch', schema: batchObject }
const createdResponse = { ...batchResponse, headers: ['Idempotency-Replayed'] satisfies HeaderName[] }

const listQuery = z.strictObject({
  after: z.string().optional().describe('The last id of the previous page'),
  limit: integerInQuery(1, 20, 100),
})
const resultsQuery = z.strictObject({
  after: integerInQuery(0, 0).describe('Number of rows to skip: those already received'),
  follow: z.enum(['0', '1', 'true', 'false']).default('0').describe('1: stream rows until the batch ends'),
})

export function batchRoutes(schemas: Schemas): Route<Context>[] {
  return [
    route({
      method: 'post',
      path: '/v1/batches',
      operationId: 'createBatch',
      tag: 'Batches',
      summary: 'Create a batch from a file, from a URL of one, or from inline requests',
      description: 'Idempotency-Key: a repeated request returns the same batch.',
      errors: 'openai',
      body: schemas.batch,
      documentedBody: schemas.documented.batch,
      requestHeaders: ['Idempotency-Key'],
      bodyLimits: schemas.batchLimits,
      example: { body: EXAMPLE_BODY },
      responses: { 200: createdResponse },
      errorStatuses: [400, 404, 409, 413, 415, 429, 503, 507],
      handler: create,
    }),
    route({
      method: 'get',
      path: '/v1/batches',
      operationId: 'listBatches',
      tag: 'Batches',
      summary: 'List your batches, newest first',
      errors: 'openai',
      query: listQuery,
      responses: { 200: { description: 'One page', schema: listOf(batchObject, 'BatchList') } },
      errorStatuses: [400, 404, 503],
      handler: async ({ reads }, { owner, query: { after, limit }, disconnected }) => {
        const find = (uuids: string[]) => readBatches(reads, owner, uuids)
        const cursor = after ? uuidFromId('batch', after) : undefined
        const page = await pageAfter(reads, BATCHES_LIST, owner, { after: cursor, limit, find, disconnected })
        return { status: 200, body: listObject(page.found.map(toBatchObject), page.hasMore) }
      },
    }),
    route({
      method: 'get',
      path: '/v1/batches/:id',
      operationId: 'getBatch',
      tag: 'Batches',
      summary: 'Get a batch; Accept: text/event-stream streams its changes',
      errors: 'openai',
      params: idParams,
      example,
      responses: { 200: batchResponse },
      supportsSse: true,
      errorStatuses: [404, 429, 503],
      handler: async (context, request) => {
        const batch = await find(context, request)
        if (!request.wantsEvents)
          return { status: 200, headers: { 'Cache-Control': 'no-cache' }, body: toBatchObject(batch) }
        return sseReply(progress(context, request, batch), context.shutdown.signal)
      },
    }),
    route({
      method: 'post',
      path: '/v1/batches/:id/cancel',
      operationId: 'cancelBatch',
      tag: 'Batches',
      summary: 'Cancel a batch; its finished rows are kept',
      errors: 'openai',
      params: idParams,
      example,
      responses: { 200: batchResponse },
      errorStatuses: [404, 409, 503],
      handler: async (context, request) => {
        const batch = await context.batches.cancel(await find(context, request))
        return { status: 200, body: toBatchObject(batch) }
      },
    }),
    route({
      method: 'post',
      path: '/v1/batches/:id/retry',
      operationId: 'retryBatch',
      tag: 'Batches',
      summary: 'Create a new batch from the rows that failed or have no result',
      errors: 'openai',
      params: idParams,
      example,
      requestHeaders: ['Idempotency-Key'],
      responses: { 200: { ...createdResponse, description: 'The new batch' } },
      errorStatuses: [404, 409, 429, 503, 507],
      handler: retry,
    }),
    route({
      method: 'get',
      path: '/v1/batches/:id/results',
      operationId: 'getBatchResults',
      tag: 'Batches',
      summary: 'The finished rows in input order, results and errors, as NDJSON',
      description:
        'follow=1 streams further rows until the batch ends, with an empty line every 15 s without one. To resume, set ' +
        '`after` to the number of rows received.',
      errors: 'openai',
      isBinary: true,
      params: idParams,
      query: resultsQuery,
      example,
      responses: { 200: { description: 'Rows', contentType: 'application/x-ndjson', schema: z.string() } },
      errorStatuses: [400, 404, 429, 503],
      handler: async (context, request) => {
        const batch = await find(context, request)
        const follow = request.query.follow === '1' || request.query.follow === 'true'
        const until = AbortSignal.any([request.disconnected, context.shutdown.signal])
        const rows = await context.batches.results(batch, request.query.after, follow ? until : undefined)
        const headers = { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-cache' }
        const body = follow ? withHeartbeats<Buffer | string>(rows, '\n', context.shutdown.signal) : rows
        return { status: 200, headers, body: new Streamed(body) }
      },
    }),
  ]
}

type BatchRequest = ApiRequest<{ id: string }, unknown, unknown>

function find({ batches }: Context, { owner, params }: Pick<BatchRequest, 'owner' | 'params'>): Promise<FoundBatch> {
  return batches.find(owner, uuidFromId('batch', params.id))
}

async function create(context: Context, request: ApiRequest<unknown, unknown, BatchBody>): Promise<RouteReply> {
  const { owner, body, idempotencyKey } = request
  const hash = requestHash('/v1/batches', body)
  const before = await context.batches.findReplay(owner, idempotencyKey, hash)
  if (before) return createdReply(before)
  requireDurable(context)
  admitMemory(context, 'kept')
  if (body.webhook !== undefined) await checkWebhook(context.webhooks, owner, body.webhook)
  else if (body.webhook_progress !== undefined) {
    throw invalid([{ path: 'webhook_progress', message: 'has no effect without webhook' }])
  }
  const newBatch: NewBatch = {
    endpoint: body.endpoint,
    window: body.completion_window,
    windowMs: windowOf(body),
    completeBy: completeByOf(context, owner, body),
    metadata: body.metadata ?? null,
    outputTtl: outputTtlOf(body, context.config.batchTtl),
    webhook: body.webhook,
    webhookProgress: body.webhook_progress,
    hash,
  }
  return createdReply(await context.batches.create(owner, idempotencyKey, newBatch, inputOf(context, body)))
}

function createdReply({ replayed, ...batch }: CreatedBatch): RouteReply {
  return { status: 200, headers: replayedHeader(replayed), body: toBatchObject(batch) }
}

async function retry(context: Context, request: BatchRequest): Promise<RouteReply> {
  const batch = await find(context, request)
  const { record, id } = batch
  const { owner, idempotencyKey } = request
  const hash = requestHash('/v1/batches/retry', id.uuid)
  const before = await context.batches.findReplay(owner, idempotencyKey, hash)
  if (before) return createdReply(before)
  requireDurable(context)
  admitMemory(context, 'kept')
  const input = context.batches.inputOfRetry(batch, `retry_of_${batchId(id.uuid)}.jsonl`)
  const newBatch: NewBatch = {
    endpoint: record.endpoint,
    window: record.window,
    windowMs: parseDuration(record.window) ?? record.expires_at - record.created_at,
    metadata: { ...metadataOf(record), retry_of: batchId(id.uuid) },
    outputTtl: record.output_ttl,
    webhook: record.webhook,
    webhookProgress: record.webhook_progress,
    hash,
  }
  return createdReply(await context.batches.create(owner, idempotencyKey, newBatch, input))
}

function metadataOf({ metadata }: BatchRecord): Record<string, string> {
  return (JSON.parse(metadata) as Record<string, string> | null) ?? {}
}

/** Checks rules that the schema cannot express. @throws AppError 422 with every problem, 404 for an invalid file id. */
function inputOf({ config }: Context, body: BatchBody): BatchInput {
  const { endpoint, input_file_id: file, input_url: url, requests } = body
  const problems: Problem[] = []
  if ([file, url, requests].filter((each) => each !== undefined).length !== 1) {
    problems.push({
      path: 'input_file_id',
      message: 'exactly one of input_file_id, input_url and requests is required',
    })
  }
  const policy = { allow: config.inputUrlAllow, setting: 'INPUT_URL_ALLOW' }
  const urlMessage = url === undefined ? undefined : urlProblem(url, policy, MAX_URL_CHARS)
  if (urlMessage !== undefined) problems.push({ path: 'input_url', message: urlMessage })
  if (!isBatchEndpoint(endpoint)) {
    problems.push({ path: 'endpoint', message: 'must be /predict, /invocations or /models/NAME' })
  }
  if (problems.length > 0) throw invalid(problems)
  if (url !== undefined) return { url }
  if (requests === undefined) return { file: uuidFromId('file', file ?? '') }
  const lines = requests.map((each) => `${JSON.stringify({ method: 'POST', url: endpoint, ...each })}\n`)
  return { lines: () => asStream(lines), name: 'requests.jsonl' }
}

async function* asStream(lines: string[]): AsyncGenerator<string> {
  yield lines.join('')
}

/** The completion window, milliseconds. @throws AppError 422 when it is not a duration. */
function windowOf({ completion_window: window }: BatchBody): number {
  const ms = parseDuration(window)
  if (ms !== undefined && ms > 0 && ms <= MAX_WINDOW_MS) return ms
  throw invalid([{ path: 'completion_window', message: 'must be a duration such as 24h, 30m or 7d, at most 30d' }])
}

/**
 * Epoch milliseconds; undefined without complete_by. The texts of a file are not known yet: they are checked with its lines.
 * @throws AppError 422 when it is too far away; 422 or OverloadedError (429) when the batch cannot end by then.
 */
function completeByOf(
  context: Context,
  owner: string,
  { complete_by: seconds, endpoint, requests }: BatchBody,
): number | undefined {
  if (seconds === undefined) return undefined
  const completeBy = seconds * 1_000
  if (completeBy > Date.now() + MAX_WINDOW_MS) {
    throw invalid([{ path: 'complete_by', message: 'must be Unix seconds, at most 30 days from now' }])
  }
  const end = context.batchService.expectedEnd(owner, endpoint)
  for (const { body } of requests ?? []) end.add(body)
  counted(context, () => end.requireBy(completeBy))
  return completeBy
}

/** Milliseconds; undefined without output_expires_after. */
function outputTtlOf({ output_expires_after: after }: BatchBody, maxTtl: number): number | undefined {
  return after && Math.min(maxTtl, after.seconds * 1_000)
}

/** One event for each change; the last one is `done`. */
async function* progress(context: Context, { disconnected }: BatchRequest, batch: FoundBatch) {
  const until = AbortSignal.any([disconnected, context.shutdown.signal])
  for await (const each of context.batches.changes(batch, until)) {
    const ended = each.record.ended_at !== undefined
    yield { event: ended ? 'done' : 'progress', data: toBatchObject(each) }
  }
}
