// Batches: a file of requests, worked off behind the people who wait (OpenAI's dialect, and rows while it runs).
import { z } from 'zod'
import { parseDuration } from '../../env.ts'
import { invalid, type Problem } from '../../errors.ts'
import { type BatchRecord, BATCHES_LIST, readBatch } from '../../records/batches.ts'
import { requestHash } from '../../records/idempotency.ts'
import { rejectWhenRedisFull } from '../../predict/admission.ts'
import { isBatchEndpoint } from '../../batches/endpoints.ts'
import type { Context } from '../context.ts'
import { batchId, listObject, uuidFromId } from '../http/openai-format.ts'
import { pageAfter } from '../http/pagination.ts'
import { type ApiRequest, type RouteReply, type Route, Streamed } from '../http/route.ts'
import { route } from './route.ts'
import { batchObject, type BatchBody, type Schemas } from './schema.ts'
import { toBatchObject } from './batch-view.ts'
import { sseReply } from '../http/sse.ts'
import type { BatchInput, FoundBatch, NewBatch } from '../../batches/batch.ts'

const EXAMPLE_ID = 'batch_0190f3f2-7c1e-7000-8000-000000000000'
const EXAMPLE_BODY = {
  requests: [
    { custom_id: 'a', body: { inputs: 'She saw him.' } },
    { custom_id: 'b', body: { inputs: 'Her saw he.' } },
  ],
  endpoint: '/predict',
  completion_window: '24h',
}
const idParams = z.object({ id: z.string() })
const example = { params: { id: EXAMPLE_ID } }
const batchResponse = { description: 'The batch', schema: batchObject }

const listQuery = z.strictObject({
  after: z.string().optional().describe('The last id of the page before'),
  limit: z.coerce.number().int().min(1).max(100).default(20),
})
const resultsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).describe('Rows to leave out: as many as you have'),
  follow: z.enum(['0', '1', 'true', 'false']).default('0').describe('1: rows as they come, to the end of the batch'),
})

export function batchRoutes(schemas: Schemas): Route<Context>[] {
  return [
    route({
      method: 'post',
      path: '/v1/batches',
      tag: 'Batches',
      summary: 'Make a batch of a file, or of the requests themselves',
      description: 'Idempotency-Key: the same request again is the same batch.',
      errors: 'openai',
      body: schemas.batch,
      example: { body: EXAMPLE_BODY },
      responses: { 200: batchResponse },
      errorStatuses: [400, 404, 409, 413, 415, 422, 429, 503, 507],
      handler: create,
    }),
    route({
      method: 'get',
      path: '/v1/batches',
      tag: 'Batches',
      summary: 'Your batches, the newest first',
      errors: 'openai',
      query: listQuery,
      responses: { 200: { description: 'One page', schema: z.object({ data: z.array(batchObject) }) } },
      errorStatuses: [404, 422, 503],
      handler: async ({ redis }, { owner, query: { after, limit } }) => {
        const find = (uuid: string) => readBatch(redis, { owner, uuid })
        const cursor = after === undefined ? undefined : uuidFromId('batch', after)
        const page = await pageAfter(redis, BATCHES_LIST, owner, { after: cursor, limit, find })
        return { status: 200, body: listObject(page.found.map(toBatchObject), page.hasMore) }
      },
    }),
    route({
      method: 'get',
      path: '/v1/batches/:id',
      tag: 'Batches',
      summary: 'One batch; with Accept: text/event-stream, whenever it changes',
      errors: 'openai',
      params: idParams,
      example,
      responses: { 200: batchResponse },
      supportsSse: true,
      errorStatuses: [404, 503],
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
      tag: 'Batches',
      summary: 'Stop a batch; the rows that are done are kept',
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
      tag: 'Batches',
      summary: 'Make a new batch of the rows that failed or were not answered',
      errors: 'openai',
      params: idParams,
      example,
      responses: { 200: { ...batchResponse, description: 'The new batch' } },
      errorStatuses: [404, 409, 429, 503, 507],
      handler: retry,
    }),
    route({
      method: 'get',
      path: '/v1/batches/:id/results',
      tag: 'Batches',
      summary: 'The rows so far in the order of the input, answers and errors, one JSON object a line',
      description: 'With follow=1 it goes on as they come. After a cut ask again, `after` as many rows as you have.',
      errors: 'openai',
      isBinary: true,
      params: idParams,
      query: resultsQuery,
      example,
      responses: { 200: { description: 'Rows', contentType: 'application/x-ndjson', schema: z.string() } },
      errorStatuses: [404, 422, 503],
      handler: async (context, request) => {
        const batch = await find(context, request)
        const follows = request.query.follow === '1' || request.query.follow === 'true'
        const until = AbortSignal.any([request.disconnected, context.shutdown.signal])
        const rows = await context.batches.results(batch, request.query.after, follows ? until : undefined)
        const headers = { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-cache' }
        return { status: 200, headers, body: new Streamed(rows) }
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
  rejectWhenRedisFull(context)
  const asked: NewBatch = {
    endpoint: body.endpoint,
    window: body.completion_window,
    windowMs: windowOf(body),
    metadata: body.metadata ?? null,
    outputTtl: outputTtlOf(body, context.config.batchTtl),
    hash: requestHash('/v1/batches', body),
  }
  const { replayed, ...batch } = await context.batches.create(owner, idempotencyKey, asked, inputOf(body))
  return { status: 200, headers: replayed ? { 'Idempotency-Replayed': 'true' } : {}, body: toBatchObject(batch) }
}

async function retry(context: Context, request: BatchRequest): Promise<RouteReply> {
  const batch = await find(context, request)
  const { record, id } = batch
  rejectWhenRedisFull(context)
  const input = context.batches.inputOfRetry(batch, `retry_of_${batchId(id.uuid)}.jsonl`)
  const asked: NewBatch = {
    endpoint: record.endpoint,
    window: record.window,
    windowMs: record.expires_at - record.created_at,
    metadata: { ...metadataOf(record), retry_of: batchId(id.uuid) },
    outputTtl: record.output_ttl,
    hash: requestHash('/v1/batches/retry', id.uuid),
  }
  const { replayed, ...made } = await context.batches.create(request.owner, request.idempotencyKey, asked, input)
  return { status: 200, headers: replayed ? { 'Idempotency-Replayed': 'true' } : {}, body: toBatchObject(made) }
}

function metadataOf({ metadata }: BatchRecord): Record<string, string> {
  return (JSON.parse(metadata) as Record<string, string> | null) ?? {}
}

/** Checks what the schema cannot. */
function inputOf({ endpoint, input_file_id: file, requests }: BatchBody): BatchInput {
  const problems: Problem[] = []
  if ((file === undefined) === (requests === undefined)) {
    problems.push({ path: 'input_file_id', message: 'exactly one of input_file_id and requests is needed' })
  }
  if (!isBatchEndpoint(endpoint)) {
    problems.push({ path: 'endpoint', message: 'must be /predict, /invocations or /models/NAME' })
  }
  if (problems.length > 0) throw invalid(problems)
  if (requests === undefined) return { file: uuidFromId('file', file ?? '') }
  const lines = requests.map((each) => `${JSON.stringify({ method: 'POST', url: endpoint, ...each })}\n`)
  return { lines: () => linesOnly(lines), name: 'requests.jsonl' }
}

async function* linesOnly(lines: string[]): AsyncGenerator<string> {
  yield lines.join('')
}

/** Milliseconds. */
function windowOf({ completion_window: window }: BatchBody): number {
  const ms = parseDuration(window)
  if (ms !== undefined && ms > 0) return ms
  throw invalid([{ path: 'completion_window', message: 'must be a duration such as 24h, 30m or 7d' }])
}

function outputTtlOf({ output_expires_after: after }: BatchBody, most: number): number | undefined {
  return after && Math.min(most, after.seconds * 1_000)
}

async function* progress(context: Context, { disconnected }: BatchRequest, batch: FoundBatch) {
  const until = AbortSignal.any([disconnected, context.shutdown.signal])
  for await (const each of context.batches.changes(batch, until)) {
    const ended = each.record.ended_at !== undefined
    yield { event: ended ? 'done' : 'progress', data: toBatchObject(each) }
  }
}
