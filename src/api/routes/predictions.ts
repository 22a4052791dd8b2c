// Routes of predictions with an id, after Replicate's API.
import * as z from 'zod'
import { AppError, invalid, malformed } from '../../errors.ts'
import { inputsOf } from '../../predict/inputs.ts'
import { findByRevision, type ResolvedModel, resolveModel } from '../../predict/model-resolver.ts'
import { type ListedPrediction, MAX_ENTRY_BYTES, readPredictionPage } from '../../predict/prediction-list.ts'
import { hasEnded } from '../../predict/predictions.ts'
import { NewerVersionError } from '../../queue/job.ts'
import { isUuid } from '../../records/ids.ts'
import { type Cursor, decodeCursor, encodeCursor } from '../../records/lists.ts'
import type { Context } from '../context.ts'
import { startDeadline } from '../http/deadline.ts'
import type { HeaderName } from '../http/openapi-headers.ts'
import type { ApiRequest, Route, RouteReply } from '../http/route.ts'
import { predictionReply, toListedObject } from './prediction-view.ts'
import { retryRoute } from './retry-prediction.ts'
import { route } from './route.ts'
import { orNull, type PredictionBody, type PredictionObject, predictionObject, type Schemas, url } from './schema.ts'
import { predictionStreamRoute, streamReply, takePlaces } from './streams/prediction-stream.ts'
import { type Submission, submit } from './submit-prediction.ts'
import { waitUrgently } from './urgency.ts'
import { erasePrediction, webhookOf } from './webhooks.ts'

const PAGE_SIZE = 100
const EXAMPLE_BODY = { model: 'cola', input: { text: 'The boy is sitting on a bench' } }
const EXAMPLE_ID = '0190f3f2-7c1e-7000-8000-000000000000'

const predictionResponse = { description: 'The prediction', schema: predictionObject }
const headers: HeaderName[] = ['Location', 'Preference-Applied', 'Idempotency-Replayed']
const createResponses = {
  201: { ...predictionResponse, description: 'Created, and finished within the wait', headers },
  202: { ...predictionResponse, description: 'Created; poll urls.get', headers },
}
const createErrorStatuses = [400, 404, 406, 409, 413, 415, 422, 429, 503]
const idParams = z.object({ id: z.string().toLowerCase().describe('A UUID') })

export function predictionRoutes(schemas: Schemas): Route<Context>[] {
  const create = (
    path: string,
    operationId: string,
    params: z.ZodType<{ name?: string }>,
    example: Record<string, string>,
  ) =>
    route({
      method: 'post',
      path,
      operationId,
      tag: 'Predictions',
      summary: 'Submit a prediction',
      description:
        'Prefer: wait[=seconds] waits for the result. Accept: text/event-stream is answered 200 with its events, as GET …/stream is. ' +
        'Idempotency-Key: a repeated request returns the same prediction.',
      isPredict: true,
      supportsSse: true,
      params,
      body: schemas.prediction,
      documentedBody: schemas.documented.prediction,
      requestHeaders: ['Prefer', 'Idempotency-Key', 'Cancel-After'],
      bodyLimits: schemas.limits,
      example: { body: EXAMPLE_BODY, params: example },
      responses: createResponses,
      errorStatuses: createErrorStatuses,
      handler: (context, request) => createOne(context, request, path, request.params.name),
    })
  return [
    create('/v1/predictions', 'createPrediction', z.object({}), {}),
    create(
      '/v1/models/:owner/:name/predictions',
      'createPredictionOfModel',
      z.object({ owner: z.string(), name: z.string() }),
      {
        owner: 'any',
        name: 'cola',
      },
    ),
    create(
      '/v1/deployments/:owner/:name/predictions',
      'createPredictionOfDeployment',
      z.object({ owner: z.string(), name: z.string() }),
      {
        owner: 'any',
        name: 'cola',
      },
    ),
    route({
      method: 'put',
      path: '/v1/predictions/:id',
      operationId: 'putPrediction',
      tag: 'Predictions',
      summary:
        'Submit a prediction with a UUID of your choice; a repeat with the same body returns the same prediction',
      isPredict: true,
      supportsSse: true,
      params: idParams,
      body: schemas.prediction,
      documentedBody: schemas.documented.prediction,
      requestHeaders: ['Prefer', 'Idempotency-Key', 'Cancel-After'],
      bodyLimits: schemas.limits,
      example: { body: EXAMPLE_BODY, params: { id: EXAMPLE_ID } },
      responses: createResponses,
      errorStatuses: createErrorStatuses,
      handler: (context, request) => {
        const uuid = request.params.id
        if (!isUuid(uuid)) throw invalid([{ path: 'id', message: 'must be a UUID' }])
        return createOne(context, request, '/v1/predictions/:id', undefined, uuid)
      },
    }),
    route({
      method: 'get',
      path: '/v1/predictions/:id',
      operationId: 'getPrediction',
      tag: 'Predictions',
      summary: 'Get a prediction; Prefer: wait=n waits for its end',
      requestHeaders: ['Prefer'],
      params: idParams,
      example: { params: { id: EXAMPLE_ID } },
      responses: { 200: predictionResponse },
      errorStatuses: [404, 410, 429, 503],
      handler: getOne,
    }),
    predictionStreamRoute,
    route({
      method: 'get',
      path: '/v1/predictions',
      operationId: 'listPredictions',
      tag: 'Predictions',
      summary: 'List your predictions, newest first, 100 per page',
      description: `Input and output are left out (\`omitted\`) when a prediction is larger than ${MAX_ENTRY_BYTES / 1_024} kB, or the page would be too large; urls.get has them. \`queue\` has no position.`,
      query: z.strictObject({ cursor: z.string().max(200).optional() }),
      responses: {
        200: {
          description: 'One page; next and previous are URLs of the adjacent pages, or null',
          schema: z
            .object({
              previous: orNull(url),
              next: orNull(url),
              results: z.array(predictionObject),
            })
            .meta({ id: 'PredictionList' }),
        },
      },
      errorStatuses: [400, 503],
      handler: (context, request) => listPredictions(context, request, request.query.cursor),
    }),
    route({
      method: 'post',
      path: '/v1/predictions/:id/cancel',
      operationId: 'cancelPrediction',
      tag: 'Predictions',
      summary: 'Cancel a prediction that waits or runs',
      params: idParams,
      example: { params: { id: EXAMPLE_ID } },
      responses: { 200: predictionResponse },
      errorStatuses: [404, 409, 410, 503],
      handler: async (context, { owner, params, baseUrl }) => {
        const found = await context.predictions.find(owner, params.id)
        await context.predictions.cancel(found)
        if (found.record.webhook !== undefined) await context.webhooks.reportCanceled(found.id)
        return predictionReply(context, await context.predictions.find(owner, params.id), baseUrl, 200)
      },
    }),
    retryRoute,
    route({
      method: 'delete',
      path: '/v1/predictions/:id',
      operationId: 'deletePrediction',
      tag: 'Predictions',
      summary: 'Delete a prediction with its input and output',
      params: idParams,
      example: { params: { id: EXAMPLE_ID } },
      responses: { 204: { description: 'Deleted' } },
      errorStatuses: [404, 409, 410, 503],
      handler: async (context, { owner, params }) => {
        await erasePrediction(context, { owner, uuid: params.id })
        return { status: 204 }
      },
    }),
  ]
}

type AnyRequest = ApiRequest<unknown, unknown, unknown>

async function createOne(
  context: Context,
  request: ApiRequest<unknown, unknown, PredictionBody>,
  route: string,
  modelOfPath: string | undefined,
  uuid?: string,
): Promise<RouteReply> {
  const { body, prefer, baseUrl } = request
  const target = await targetOf(context, modelOfPath ?? body.model, body.version)
  const webhook = await webhookOf(context, request.owner, body)
  const { metadata = {}, retries } = body
  const submission = { target, inputs: inputsOf(body.input), metadata, route, uuid, webhook, retries }
  if (request.wantsEvents) return createAndStream(context, request, submission)
  const submitted = await submit(context, request, { ...submission, waitMs: prefer.wait ?? 0 })
  const status = submitted.ended ? 201 : 202
  return predictionReply(context, submitted.prediction, baseUrl, status, submitted.headers)
}

/** The places are taken first: a prediction that exists has its stream. */
async function createAndStream(
  context: Context,
  request: AnyRequest,
  submission: Omit<Submission, 'waitMs'>,
): Promise<RouteReply> {
  const release = takePlaces(context, request)
  try {
    const { prediction, replayed, headers } = await submit(context, request, { ...submission, waitMs: 0 })
    return streamReply(context, request, prediction, release, { isNew: !replayed, headers })
  } catch (error) {
    release()
    throw error
  }
}

/** `version` may be a revision or, as Replicate's clients send it, a model reference, also `owner/name:version`. */
async function targetOf(
  context: Context,
  model: string | undefined,
  version: string | undefined,
): Promise<ResolvedModel> {
  if (version === undefined) return resolveModel(context, model)
  if (model !== undefined) return resolveModel(context, `${model}@${version}`)
  return findByRevision(context, version) ?? resolveModel(context, version)
}

async function getOne(context: Context, request: ApiRequest<{ id: string }, unknown, unknown>): Promise<RouteReply> {
  const { owner, params, prefer, baseUrl } = request
  const found = await context.predictions.find(owner, params.id)
  if (prefer.wait === undefined || hasEnded(found)) return predictionReply(context, found, baseUrl, 200)
  const release = context.polls.take(owner)
  const deadline = startDeadline(prefer.wait, request, context.shutdown.signal)
  try {
    return await predictionReply(
      context,
      await waitUrgently(context, found, prefer.wait, deadline.signal),
      baseUrl,
      200,
    )
  } finally {
    release()
    deadline.end()
  }
}

async function listPredictions(
  context: Context,
  { owner, baseUrl }: AnyRequest,
  cursorText: string | undefined,
): Promise<RouteReply> {
  const { config } = context
  const cursor = cursorText === undefined ? undefined : decodeCursor(cursorText)
  if (cursorText !== undefined && !cursor) throw malformed('invalid cursor')
  const { predictions, ...page } = await readPredictionPage(context.reads, owner, PAGE_SIZE, cursor, config.resultTtl)
  const objects = await Promise.all(predictions.map((each) => objectIfReadable(context, each, baseUrl)))
  const results = objects.filter((object) => object !== undefined)
  const pageUrl = (to: Cursor | undefined) => (to ? `${baseUrl}/v1/predictions?cursor=${encodeCursor(to)}` : null)
  return { status: 200, body: { previous: pageUrl(page.previous), next: pageUrl(page.next), results } }
}

/** Omits a prediction from a list that cannot be shown now; a request for its id gets the 409 or 503 with the reason. */
async function objectIfReadable(
  context: Context,
  prediction: ListedPrediction,
  baseUrl: string,
): Promise<PredictionObject | undefined> {
  try {
    return await toListedObject(prediction, context.fleet, baseUrl)
  } catch (error) {
    if (error instanceof NewerVersionError || (error instanceof AppError && error.status === 409)) return undefined
    throw error
  }
}
