// Routes of models and queue depths.
import * as z from 'zod'
import { notFound } from '../../../errors.ts'
import { isLive, type ServedModel } from '../../../fleet/fleet.ts'
import { scoreFunction } from '../../../predict/body.ts'
import { parseReference, rejectionReason, resolveModel } from '../../../predict/model-resolver.ts'
import { defaultFunction } from '../../../predict/scores.ts'
import type { Lane } from '../../../queue/names.ts'
import type { Context } from '../../context.ts'
import { toUnixSeconds } from '../../http/openai-format.ts'
import type { Route } from '../../http/route.ts'
import { route } from '../route.ts'
import { orNull } from '../schema.ts'
import { modelStats, statsObject } from './model-stats.ts'
import { replicateModel, toReplicateModel } from './replicate-models.ts'

const OWNER = 'inferq'

const modelObject = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.int().describe('When its file was made, Unix seconds; 0 when unknown'),
    owned_by: z.string(),
    task: z.literal('text-classification'),
    problem_type: z.string(),
    function: scoreFunction,
    labels: z.array(z.string()),
    max_tokens: z.int(),
    revision: z.string(),
    revisions: z.array(z.object({ revision: z.string(), live: z.boolean() }).meta({ id: 'ModelRevision' })),
    file: z.string(),
    bytes: z.int(),
    architecture: z.string(),
    isolate: z.boolean(),
    state: z.enum(['ready', 'no_worker', 'refused']),
    reason: z.string().optional(),
    workers: z.int(),
    texts_per_second: z.int(),
    ...statsObject.shape,
    default: z.boolean(),
  })
  .meta({ id: 'Model' })

const refusedModel = modelObject
  .pick({ id: true, object: true, created: true, owned_by: true })
  .extend({ state: z.literal('refused'), reason: z.string() })
  .meta({ id: 'RefusedModel' })

const modelList = z
  .object({
    object: z.literal('list'),
    data: z.array(z.union([modelObject, refusedModel])),
    previous: z.null(),
    next: z.null(),
    results: z.array(replicateModel).describe("The served models again, in Replicate's format"),
  })
  .meta({ id: 'ModelList' })

const jobsByLane = z.object({ interactive: z.int(), async: z.int(), bulk: z.int() }).meta({ id: 'JobsByLane' })
const secondsByLane = z
  .object({ interactive: orNull(z.number()), async: orNull(z.number()), bulk: orNull(z.number()) })
  .meta({ id: 'SecondsByLane' })

const queueObject = z
  .object({
    models: z.record(
      z.string(),
      z
        .object({
          depth: jobsByLane.describe('Waiting jobs'),
          active: z.int(),
          workers: z.int(),
          processes: z.int().describe('Inference processes of the workers that take jobs'),
          drain_per_second: z.int(),
          work_seconds: secondsByLane.describe('Work that waits or runs, in seconds of one inference process'),
          eta_seconds: orNull(z.number()).describe('Seconds until the interactive work of this moment is done'),
          eta_seconds_by_lane: secondsByLane,
        })
        .meta({ id: 'QueueOfModel' }),
    ),
  })
  .meta({ id: 'Queues' })

export const modelRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/v1/models',
    operationId: 'listModels',
    tag: 'Models',
    summary: 'List served models, and refused models with the reason',
    responses: {
      200: { description: 'Models', schema: modelList },
    },
    errorStatuses: [503],
    handler: async (context, { baseUrl }) => {
      await context.fleet.refresh()
      const models = context.fleet.models()
      const data = [...models.map((model) => describe(context, model)), ...refused(context)]
      const results = models.map((model) => toReplicateModel(OWNER, model, baseUrl))
      return { status: 200, body: { object: 'list', data, previous: null, next: null, results } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/models/:model',
    operationId: 'getModel',
    tag: 'Models',
    summary: 'Get a model with its card',
    params: z.object({ model: z.string() }),
    example: { params: { model: 'cola' } },
    responses: {
      200: { description: 'The model', schema: modelObject.extend({ card: z.string() }).meta({ id: 'ModelWithCard' }) },
    },
    errorStatuses: [404, 503],
    handler: async (context, { params }) => {
      const { model } = await resolveModel(context, params.model)
      if (params.model.includes('@')) throw notFound('this path takes a model name without a revision')
      return { status: 200, body: { ...describe(context, model), card: model.current.card } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/queue',
    operationId: 'getQueue',
    tag: 'Operations',
    summary: 'Queue depth, throughput and estimated wait by model',
    responses: { 200: { description: 'Jobs by model and lane', schema: queueObject } },
    errorStatuses: [503],
    handler: async (context) => {
      await context.fleet.sample()
      const queues = context.fleet.models().map((model) => [model.name, queueOf(context, model)])
      return { status: 200, body: { models: Object.fromEntries(queues) } }
    },
  }),
]

function describe(context: Context, model: ServedModel): z.infer<typeof modelObject> {
  const { current } = model
  const reason = rejectionReason(context, model.name)
  return {
    id: model.name,
    object: 'model',
    created: toUnixSeconds(current.createdAt ?? 0),
    owned_by: OWNER,
    task: 'text-classification',
    problem_type: current.problemType,
    function: current.function ?? defaultFunction(current.problemType),
    labels: current.labels,
    max_tokens: current.maxTokens,
    revision: current.revision,
    revisions: [...model.records.keys()].map((revision) => ({ revision, live: isLive(model, revision) })),
    file: current.file,
    bytes: current.bytes,
    architecture: current.architecture,
    isolate: current.isolate ?? false,
    state: model.workers.length > 0 ? 'ready' : reason === undefined ? 'no_worker' : 'refused',
    // Also for a ready model: one worker may refuse it while another serves it.
    ...(reason === undefined ? {} : { reason }),
    workers: model.workers.length,
    texts_per_second: Math.round(model.capacity),
    ...modelStats(model),
    default: model.name === parseReference(context.config.defaultModel)?.name,
  }
}

/** Models that a worker refuses and no worker has ever served. */
function refused({ fleet }: Context) {
  const known = new Set(fleet.models().map(({ name }) => name))
  const reasons = new Map(fleet.workers.flatMap((worker) => worker.refused).map(({ name, reason }) => [name, reason]))
  return [...reasons].flatMap(([id, reason]) =>
    known.has(id) ? [] : [{ id, object: 'model', created: 0, owned_by: OWNER, state: 'refused', reason }],
  )
}

function queueOf(context: Context, model: ServedModel) {
  const { fleet } = context
  const { interactive, async, bulk } = fleet.depth(model.name)
  const eachLane = <T>(value: (lane: Lane) => T) => ({
    interactive: value('interactive'),
    async: value('async'),
    bulk: value('bulk'),
  })
  const drain = eachLane((lane) => (model.processes > 0 ? thousandths(fleet.drainTime(model, lane) / 1_000) : null))
  return {
    depth: { interactive: interactive.waiting, async: async.waiting, bulk: bulk.waiting },
    active: interactive.active + async.active + bulk.active,
    workers: model.workers.length,
    processes: model.processes,
    drain_per_second: Math.round(model.capacity),
    work_seconds: eachLane((lane) => thousandths(fleet.load.work(model.name, lane) / 1_000)),
    eta_seconds: drain.interactive,
    eta_seconds_by_lane: drain,
  }
}

function thousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
