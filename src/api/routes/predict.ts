// Routes of synchronous predictions, for four dialects.
// GET and Text Embeddings Inference's POST /predict, Hugging Face's nested format, and SageMaker's /invocations.
import * as z from 'zod'
import { workOf } from '../../fleet/work.ts'
import { admit, takeWaitingPlace } from '../../predict/admission.ts'
import { scoreAnswers } from '../../predict/answers.ts'
import { checkMaxTokens, type Inputs, inputsOf, inputsOfHuggingFace } from '../../predict/inputs.ts'
import { admitMemory } from '../../predict/memory-admission.ts'
import { resolveModel } from '../../predict/model-resolver.ts'
import { finishedResult } from '../../predict/sync-predictor.ts'
import type { Item } from '../../queue/job.ts'
import type { Context } from '../context.ts'
import { startDeadline } from '../http/deadline.ts'
import { preferenceApplied } from '../http/headers/prefer.ts'
import type { HeaderName } from '../http/openapi-headers.ts'
import type { ApiRequest, Route, RouteReply } from '../http/route.ts'
import { answerHeaders, cacheHeader } from './answer-headers.ts'
import { toPredictionObject } from './prediction-view.ts'
import { route } from './route.ts'
import { flatScores, nestedScores, predictionObject, type Schemas } from './schema.ts'
import { submit } from './submit-prediction.ts'

/** The response of a single text: `flat` is a list of scores, `nested` is a list with one such list. */
type Shape = 'flat' | 'nested'

const EXAMPLE_TEXT = 'The boy is sitting on a bench'
const EXAMPLE_PAIR = [EXAMPLE_TEXT, 'The boy are sit on bench a']
/** Rounded scores of the shipped cola for the example texts. */
const exampleScores = [
  { label: 'acceptable', score: 0.943 },
  { label: 'unacceptable', score: 0.057 },
]
const exampleBest = [[{ label: 'acceptable', score: 0.943 }], [{ label: 'unacceptable', score: 0.937 }]]
const RESULT_HEADERS: HeaderName[] = [
  'X-Model',
  'X-Model-Revision',
  'X-Worker',
  'Server-Timing',
  'X-Compute-Tokens',
  'X-Truncated-Texts',
  'Preference-Applied',
]
const errorStatuses = [400, 404, 406, 409, 413, 415, 422, 424, 429, 503, 504]
const pendingPrediction = {
  description: 'With Prefer: the prediction has not ended; poll it',
  schema: predictionObject,
  headers: ['Location', 'Preference-Applied', 'Idempotency-Replayed'] satisfies HeaderName[],
}

export function predictRoutes(schemas: Schemas): Route<Context>[] {
  const flat = {
    description: 'Scores, highest first',
    schema: z.union([flatScores, nestedScores]),
    example: exampleScores,
    headers: RESULT_HEADERS,
  }
  const nested = { description: 'One list of scores per text', schema: nestedScores, example: exampleBest }
  const predictBody = { body: { inputs: EXAMPLE_TEXT } }
  const nestedBody = { body: { inputs: EXAMPLE_PAIR, parameters: { top_k: 1 } } }

  const post = (
    path: string,
    operationId: string,
    summary: string,
    body: typeof schemas.predict | typeof schemas.invocations,
    documentedBody: z.ZodType,
  ) =>
    route({
      method: 'post',
      path,
      operationId,
      tag: 'Predict',
      summary,
      requestHeaders: ['Prefer', 'Idempotency-Key', 'Cancel-After'],
      documentedBody,
      isPredict: true,
      body,
      bodyLimits: schemas.limits,
      example: predictBody,
      responses: { 200: flat, 202: pendingPrediction },
      errorStatuses,
      handler: (context, request) =>
        predict(context, request, inputsOf(request.body), request.body.model, 'flat', path),
    })
  const huggingFace = (
    path: string,
    operationId: string,
    params: z.ZodType<{ model?: string; name?: string }>,
    example: Record<string, string>,
  ) =>
    route({
      method: 'post',
      path,
      operationId,
      tag: 'Predict',
      summary: 'Hugging Face Inference: always one list of scores per text',
      requestHeaders: ['Prefer', 'Idempotency-Key', 'Cancel-After'],
      isPredict: true,
      params,
      body: schemas.huggingFace,
      bodyLimits: schemas.limits,
      example: { ...nestedBody, params: example },
      responses: { 200: nested, 202: pendingPrediction },
      errorStatuses,
      handler: (context, request) => {
        const model = request.params.name ?? request.params.model ?? request.body.model
        return predict(context, request, inputsOfHuggingFace(request.body), model, 'nested', path)
      },
    })

  return [
    route({
      method: 'get',
      path: '/predict',
      operationId: 'classifyText',
      tag: 'Predict',
      summary: 'Classify one text',
      isPredict: true,
      requestHeaders: ['Cancel-After'],
      query: z.strictObject({ text: schemas.text, model: schemas.model }),
      example: { query: { text: EXAMPLE_TEXT } },
      responses: { 200: { ...flat, schema: flatScores } },
      errorStatuses,
      handler: (context, request) =>
        predictSync(context, request, inputsOf({ text: request.query.text }), request.query.model, 'flat'),
    }),
    post(
      '/predict',
      'classify',
      'Classify one text, many texts, or pairs of texts',
      schemas.predict,
      schemas.documented.predict,
    ),
    post(
      '/invocations',
      'invoke',
      'The same as POST /predict, for SageMaker',
      schemas.invocations,
      schemas.documented.invocations,
    ),
    huggingFace('/', 'classifyNested', z.object({}), {}),
    huggingFace('/models/:model', 'classifyWithModel', z.object({ model: z.string() }), { model: 'cola' }),
    huggingFace('/models/:owner/:name', 'classifyWithOwnedModel', z.object({ owner: z.string(), name: z.string() }), {
      owner: 'any',
      name: 'cola',
    }),
  ]
}

type AnyRequest = ApiRequest<unknown, unknown, unknown>

/** Idempotency-Key, Prefer: wait and Prefer: respond-async create a prediction with an id; other requests do not. */
function predict(
  context: Context,
  request: AnyRequest,
  inputs: Inputs,
  model: string | undefined,
  shape: Shape,
  path: string,
) {
  const { prefer, idempotencyKey } = request
  const needsId = idempotencyKey !== undefined || prefer.respondAsync || prefer.wait !== undefined
  return needsId
    ? predictWithId(context, request, inputs, model, shape, path)
    : predictSync(context, request, inputs, model, shape)
}

async function predictSync(
  context: Context,
  request: AnyRequest,
  inputs: Inputs,
  wanted: string | undefined,
  shape: Shape,
): Promise<RouteReply> {
  const target = await resolveModel(context, wanted)
  request.logModel(target.model.name)
  const { owner, cancelAfter } = request
  const { costs, current } = target.model
  const within = Math.min(context.config.waitTimeout, cancelAfter ?? Number.POSITIVE_INFINITY)
  checkMaxTokens(inputs, current.maxTokens)
  const release = takeWaitingPlace(context, owner)
  const deadline = startDeadline(within, request, context.drainTimeout.signal)
  try {
    const admitted = (items: Item[]) => {
      const work = workOf(costs, items, current.maxTokens)
      admit(context, target, { lane: 'interactive', owner, work, within })
      admitMemory(context, 'plain')
      request.trace?.admitted()
    }
    const call = {
      ...target,
      owner,
      weight: context.weightOf(owner),
      truncate: inputs.truncate,
      deadline: deadline.expiresAt,
      due: cancelAfter === undefined ? undefined : deadline.expiresAt,
      interruption: deadline,
      traceparent: request.traceparent,
    }
    const { answers, cached } = await context.predictor.predict(inputs.items, call, admitted)
    request.trace?.answered()
    const { lenient } = request.prefer
    const scored = await scoreAnswers(context.fleet, target.model.name, answers, inputs.scores, lenient)
    context.metrics.texts.inc({ model: target.model.name, outcome: 'answered' }, inputs.items.length)
    const headers = answerHeaders(target.model.name, answers)
    return {
      status: 200,
      headers: { ...headers, ...cacheHeader(cached, answers.length), ...preferenceApplied(request.prefer) },
      body: toShape(scored, inputs, shape),
    }
  } catch (error) {
    context.metrics.texts.inc({ model: target.model.name, outcome: 'not_answered' }, inputs.items.length)
    throw error
  } finally {
    deadline.end()
    release()
  }
}

/** 200 in the route's shape when the prediction ends within the wait, else 202 with the prediction. */
async function predictWithId(
  context: Context,
  request: AnyRequest,
  inputs: Inputs,
  wanted: string | undefined,
  shape: Shape,
  route: string,
): Promise<RouteReply> {
  // RFC 7240: both preferences together are a wait of that time, and then a response that it goes on.
  const waitMs = request.prefer.wait ?? (request.prefer.respondAsync ? 0 : context.config.waitTimeout)
  const target = await resolveModel(context, wanted)
  checkMaxTokens(inputs, target.model.current.maxTokens)
  const submitted = await submit(context, request, { target, inputs, metadata: {}, route, waitMs })
  const { prediction, headers } = submitted
  if (!submitted.ended) {
    const body = await toPredictionObject(prediction, context.fleet, request.baseUrl)
    return { status: 202, headers, body: { ...body, status: 'starting' } }
  }
  const result = finishedResult(prediction.job)
  const answers = result.rows.map((row) => ({ row, result }))
  const model = prediction.record.model
  const scored = await scoreAnswers(context.fleet, model, answers, inputs.scores, request.prefer.lenient)
  return {
    status: 200,
    headers: { ...headers, ...answerHeaders(model, answers) },
    body: toShape(scored, inputs, shape),
  }
}

function toShape<T>(scored: T[], inputs: Inputs, shape: Shape): T | T[] | undefined {
  return shape === 'flat' && inputs.single ? scored[0] : scored
}
