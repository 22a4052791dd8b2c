// Routes for operators: health checks, server information and metrics.
import * as z from 'zod'
import { unavailable } from '../../errors.ts'
import { VERSION } from '../../package.ts'
import { rejectionReason, resolveModel } from '../../predict/model-resolver.ts'
import { LANES } from '../../queue/names.ts'
import { refusesChanges, toServiceUnavailable } from '../../redis/errors.ts'
import type { Context } from '../context.ts'
import type { Route, RouteReply } from '../http/route.ts'
import { capacityWarnings, requireDurable, sampleCapacity } from './capacity.ts'
import { infoObject } from './models/info-object.ts'
import { combineStats, modelStats } from './models/model-stats.ts'
import { route } from './route.ts'

const healthObject = z
  .object({
    status: z.literal('ok'),
    warnings: z.array(z.string()).optional().describe('What is nearly full, and what is refused because of it'),
  })
  .meta({ id: 'Health' })
const okResponses = {
  200: { description: 'Healthy', schema: z.object({ status: z.literal('ok') }).meta({ id: 'Alive' }) },
}
const okReply: RouteReply = { status: 200, headers: { 'Cache-Control': 'no-store' }, body: { status: 'ok' } }

export const operationRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/livez',
    operationId: 'getLiveness',
    tag: 'Operations',
    public: true,
    anyHost: true,
    summary: 'Liveness: the process runs',
    responses: okResponses,
    handler: () => okReply,
  }),
  route({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tag: 'Operations',
    public: true,
    anyHost: true,
    summary: 'Readiness: Redis answers, and the process is not shutting down',
    responses: okResponses,
    errorStatuses: [503],
    handler: async (context) => {
      await checkReady(context)
      return okReply
    },
  }),
  ...(['/health', '/ping'] as const).map((path) =>
    route({
      method: 'get',
      path,
      operationId: path === '/health' ? 'getHealth' : 'ping',
      tag: 'Operations',
      public: true,
      anyHost: true,
      summary:
        path === '/health'
          ? 'Health: ready, and every known model has a live worker'
          : 'The same as /health, for SageMaker',
      responses: { 200: { description: 'Healthy', schema: healthObject } },
      errorStatuses: [503],
      handler: async (context, { owner }) => {
        await checkReady(context)
        checkModels(context, owner !== '')
        const warnings = capacityWarnings(context)
        return warnings.length === 0 ? okReply : { ...okReply, body: { status: 'ok', warnings } }
      },
    }),
  ),
  route({
    method: 'get',
    path: '/info',
    operationId: 'getInfo',
    tag: 'Operations',
    summary: 'Version, models, live workers and limits; the first fields are those of Text Embeddings Inference',
    responses: { 200: { description: 'Server information', schema: infoObject } },
    errorStatuses: [503],
    handler: (context) => describeServer(context),
  }),
  route({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tag: 'Operations',
    summary: 'Metrics for Prometheus',
    responses: { 200: { description: 'Prometheus text format', contentType: 'text/plain', schema: z.string() } },
    handler: async (context) => {
      sampleGauges(context)
      await sampleCapacity(context).catch(() => undefined)
      const { registry } = context.metrics
      return { status: 200, headers: { 'Content-Type': registry.contentType }, body: await registry.metrics() }
    },
  }),
]

async function checkReady(context: Context): Promise<void> {
  if (context.shutdown.signal.aborted) throw unavailable('the process is shutting down')
  requireDurable(context)
  await context.redis.ping().catch((error: unknown) => {
    throw refusesChanges(error) ? toServiceUnavailable(error) : unavailable('Redis does not answer', error)
  })
}

/**
 * @param named whether the caller may see names of models: with API_KEYS, only the owner of a key.
 * @throws AppError 503 that names each model without a live worker, with the reason when workers refuse it.
 */
function checkModels(context: Context, named: boolean): void {
  const { fleet } = context
  const models = fleet.models()
  const refused = fleet.workers.flatMap((worker) => worker.refused.map(({ name }) => name))
  if (models.length === 0 && refused.length === 0) throw unavailable('no worker has started yet')
  const served = new Set(models.flatMap(({ name, workers }) => (workers.length > 0 ? [name] : [])))
  const unserved = new Set([...models.map(({ name }) => name), ...refused].filter((name) => !served.has(name)))
  if (unserved.size === 0) return
  if (!named) throw unavailable('some models have no live worker; with an API key, the answer names them')
  const reasons = [...unserved].map((name) => {
    const reason = rejectionReason(context, name)
    return reason === undefined ? name : `${name} (refused: ${reason})`
  })
  throw unavailable(`no live worker serves: ${reasons.join('; ')}`)
}

/** The reply of /info. @param wanted the model that it describes; default: the default model. */
export async function describeServer(context: Context, wanted?: string): Promise<RouteReply> {
  const { config, fleet } = context
  await fleet.refresh()
  const { model, current } = await resolveModel(context, wanted).then(
    (resolved) => ({ ...resolved, current: resolved.model.current }),
    () => ({ model: undefined, current: undefined }),
  )
  const labels = current?.labels ?? []
  const maxTokens = current?.maxTokens ?? 0
  const runTokens = model === undefined ? null : modelStats(model).max_run_tokens
  const name = current?.name ?? config.defaultModel
  const body = {
    // The fields of Text Embeddings Inference, all of which its typed clients need.
    model_id: name,
    model_sha: current?.revision ?? '',
    model_dtype: current?.file.includes('quantized') ? 'int8' : 'float32',
    model_type: {
      classifier: {
        id2label: Object.fromEntries(labels.entries()),
        label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
      },
    },
    served_model_name: name,
    sha: current?.revision ?? '',
    docker_label: `inferq ${VERSION}`,
    max_concurrent_requests: config.maxWaiting,
    max_input_length: maxTokens,
    max_batch_tokens: runTokens ?? maxTokens,
    max_batch_requests: config.maxInputs,
    max_client_batch_size: config.maxInputs,
    auto_truncate: true,
    tokenization_workers: fleet.workers.length,
    version: VERSION,
    default_model: config.defaultModel,
    models: fleet
      .models()
      .map(({ name, current: { revision }, workers }) => ({ name, revision, workers: workers.length })),
    workers: fleet.workers.map(({ id, host, version, startedAt, state, models, refused, slots }) => ({
      id,
      host,
      version,
      started_at: new Date(startedAt).toISOString(),
      state,
      models: models.map((model) => ({
        name: model.name,
        revision: model.revision,
        texts_per_second: Math.round(model.capacity),
        ...combineStats([model]),
      })),
      refused,
      slots,
    })),
    limits: {
      max_body_bytes: config.maxBody,
      max_inputs: config.maxInputs,
      max_text_chars: config.maxTextChars,
      max_waiting: config.maxWaiting,
      max_polls: config.maxPolls,
      max_streams: config.maxStreams,
      max_queue_seconds: config.maxQueueSeconds / 1_000,
      wait_timeout_seconds: config.waitTimeout / 1_000,
      max_wait_seconds: config.maxWait / 1_000,
      result_ttl_seconds: config.resultTtl / 1_000,
      max_file_bytes: config.maxFileBytes,
      max_upload_bytes: config.maxUploadBytes,
      max_batch_lines: config.maxBatchLines,
    },
  }
  return { status: 200, body }
}

/** Sets the gauges just before a scrape. */
function sampleGauges(context: Context): void {
  const { batchService, metrics, waiters, fleet, connections, polls, streams } = context
  metrics.batchesRunning.set(batchService.running)
  metrics.fetching.set(batchService.fetching)
  metrics.connections.set(connections.size)
  metrics.polls.set(polls.taken)
  metrics.streams.set(streams.taken)
  metrics.waiting.set(context.waitingPlaces.held())
  metrics.settled.set({ by: 'reply' }, waiters.settledBy.reply)
  metrics.settled.set({ by: 'reconcile' }, waiters.settledBy.reconcile)
  metrics.refusedModels.set(new Set(fleet.workers.flatMap(({ refused }) => refused.map(({ name }) => name))).size)
  // A model that is no longer known has no time series.
  for (const each of [metrics.workers, metrics.processes, metrics.queueWork, metrics.jobs]) each.reset()
  for (const model of fleet.models()) {
    metrics.workers.set({ model: model.name }, model.workers.length)
    metrics.processes.set({ model: model.name }, model.processes)
    const depth = fleet.depth(model.name)
    for (const lane of LANES) {
      metrics.queueWork.set({ model: model.name, lane }, fleet.load.work(model.name, lane) / 1_000)
      for (const state of ['waiting', 'active'] as const) {
        metrics.jobs.set({ model: model.name, lane, state }, depth[lane][state])
      }
    }
  }
}
