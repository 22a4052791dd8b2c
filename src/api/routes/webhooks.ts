// Routes of webhooks: their secret, the log of deliveries, and redelivery.
import * as z from 'zod'
import { invalid, notFound } from '../../errors.ts'
import type { PredictionWebhook } from '../../predict/new-prediction.ts'
import { attemptsOf, type DeliveryRecord, deliveryEvents, webhookEvents } from '../../records/deliveries.ts'
import { isUuid, type OwnedId } from '../../records/ids.ts'
import type { LoggedDelivery } from '../../webhooks/webhooks.ts'
import type { Context } from '../context.ts'
import { uuidFromId } from '../http/openai-format.ts'
import type { Route } from '../http/route.ts'
import { replayedHeader } from './answer-headers.ts'
import { route } from './route.ts'
import { dateTime, orNull, type PredictionBody, url } from './schema.ts'

const EXAMPLE_ID = '0190f3f2-7c1e-7000-8000-000000000000'
const EXAMPLE_DELIVERY = 'msg_0190f3f27c1e70008000000000000000_m0000000_completed'

const deliveryObject = z
  .object({
    id: z.string().describe('Also sent as webhook-id'),
    event: z.enum(deliveryEvents),
    url,
    status: z.enum(['pending', 'delivered', 'failed']),
    created_at: dateTime,
    next_attempt_at: orNull(dateTime),
    expires_at: dateTime.describe('Until then it can be sent again'),
    attempts: z.array(
      z
        .object({
          at: dateTime,
          status_code: orNull(z.int()),
          error: orNull(z.string()),
          seconds: z.number(),
        })
        .meta({ id: 'DeliveryAttempt' }),
    ),
  })
  .meta({ id: 'Delivery' })
const deliveryList = z.object({ results: z.array(deliveryObject) }).meta({ id: 'DeliveryList' })
const secretObject = z
  .object({
    key: z.string(),
    previous_expires_at: orNull(dateTime).describe('Until then deliveries are also signed with the key before'),
  })
  .meta({ id: 'WebhookSecret' })

export const webhookRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/v1/webhooks/default/secret',
    operationId: 'getWebhookSecret',
    tag: 'Webhooks',
    summary: 'Get the secret that signs your webhooks',
    role: 'admin',
    responses: { 200: { description: 'The secret', schema: secretObject } },
    errorStatuses: [503],
    handler: async ({ webhooks }, { owner }) => secretReply(await webhooks.secrets(owner)),
  }),
  route({
    method: 'post',
    path: '/v1/webhooks/default/secret',
    operationId: 'rotateWebhookSecret',
    tag: 'Webhooks',
    summary: 'Replace the secret; for a day, deliveries are signed with both',
    role: 'admin',
    description: 'Idempotency-Key: a repeated request within a day replaces nothing.',
    requestHeaders: ['Idempotency-Key'],
    responses: { 200: { description: 'The new secret', schema: secretObject, headers: ['Idempotency-Replayed'] } },
    errorStatuses: [400, 503],
    handler: async ({ webhooks }, { owner, idempotencyKey }) => {
      const { replayed, secrets } = await webhooks.rotateSecret(owner, idempotencyKey)
      const { headers, ...rest } = secretReply(secrets)
      return { ...rest, headers: { ...headers, ...replayedHeader(replayed) } }
    },
  }),
  ...deliveryRoutes('predictions', 'Prediction', EXAMPLE_ID),
  ...deliveryRoutes('batches', 'Batch', `batch_${EXAMPLE_ID}`),
]

type Kind = 'predictions' | 'batches'

function deliveryRoutes(kind: Kind, name: string, example: string): Route<Context>[] {
  const errors = kind === 'batches' ? { errors: 'openai' as const } : {}
  return [
    route({
      method: 'get',
      path: `/v1/${kind}/:id/deliveries`,
      operationId: `list${name}Deliveries`,
      tag: 'Webhooks',
      summary: `List the webhook deliveries of a ${name.toLowerCase()}, with their attempts`,
      ...errors,
      params: z.object({ id: z.string() }),
      example: { params: { id: example } },
      responses: { 200: { description: 'Deliveries', schema: deliveryList } },
      errorStatuses: [404, 410, 503],
      handler: async (context, { owner, params }) => {
        const id = { owner, uuid: uuidOf(kind, params.id) }
        const found = await context.webhooks.list(id)
        // Deliveries may outlive what they are of.
        if (found.length === 0) await context[kind].find(owner, id.uuid)
        const body: z.infer<typeof deliveryList> = { results: found.map(toDeliveryObject) }
        return { status: 200, headers: { 'Cache-Control': 'no-cache' }, body }
      },
    }),
    route({
      method: 'post',
      path: `/v1/${kind}/:id/deliveries/:delivery/redeliver`,
      operationId: `redeliver${name}`,
      tag: 'Webhooks',
      summary: 'Send a delivery again, now, with the same webhook-id',
      ...errors,
      params: z.object({ id: z.string(), delivery: z.string() }),
      example: { params: { id: example, delivery: EXAMPLE_DELIVERY } },
      responses: { 202: { description: 'The delivery, which is sent next', schema: deliveryObject } },
      errorStatuses: [404, 503],
      handler: async ({ webhooks }, { owner, params }) => {
        const found = await webhooks.redeliver({ owner, uuid: uuidOf(kind, params.id), id: params.delivery })
        return { status: 202, body: toDeliveryObject(found) }
      },
    }),
  ]
}

/** @throws AppError 404 for a text that is no id. */
function uuidOf(kind: Kind, id: string): string {
  if (kind === 'batches') return uuidFromId('batch', id)
  const uuid = id.toLowerCase()
  if (!isUuid(uuid)) throw notFound('no such prediction')
  return uuid
}

/** The webhook that a prediction asks for. @throws AppError 422; OverloadedError (429). */
export async function webhookOf(
  { webhooks }: Context,
  owner: string,
  { webhook: target, webhook_events_filter: filter }: Pick<PredictionBody, 'webhook' | 'webhook_events_filter'>,
): Promise<PredictionWebhook | undefined> {
  if (target === undefined) {
    if (filter === undefined) return undefined
    throw invalid([{ path: 'webhook_events_filter', message: 'has no effect without webhook' }])
  }
  await checkWebhook(webhooks, owner, target)
  const events = filter === undefined ? ['output' as const, 'completed' as const] : filter
  return { url: target, events: webhookEvents.filter((event) => events.includes(event)) }
}

/** @throws AppError 422 for a URL that can never be delivered to; OverloadedError (429). */
export async function checkWebhook(webhooks: Context['webhooks'], owner: string, target: string): Promise<void> {
  const problem = webhooks.urlProblem(target)
  if (problem !== undefined) throw invalid([{ path: 'webhook', message: problem }])
  await webhooks.requireRoom(owner)
}

/**
 * Erases a prediction with the deliveries that contain its texts; they may outlive it.
 * @throws AppError 404, 410.
 */
export async function erasePrediction({ predictions, webhooks }: Context, id: OwnedId): Promise<void> {
  const found = await predictions.find(id.owner, id.uuid).catch((error: unknown) => error as Error)
  if (!(found instanceof Error)) await predictions.erase(found)
  const erased = isUuid(id.uuid) ? await webhooks.erase(id) : 0
  if (found instanceof Error && erased === 0) throw found
}

function toDeliveryObject({ id, record, endsAt }: LoggedDelivery): z.infer<typeof deliveryObject> {
  const { event, url: target, state, created_at, next_at } = record
  return {
    id,
    event,
    url: target,
    status: state,
    created_at: isoOf(created_at),
    next_attempt_at: nextOf(state, next_at),
    expires_at: isoOf(endsAt),
    attempts: attemptsOf(record).map(({ at, status, error, ms }) => ({
      at: isoOf(at),
      status_code: status,
      error,
      seconds: ms / 1_000,
    })),
  }
}

function nextOf(state: DeliveryRecord['state'], at: number | undefined): string | null {
  return state === 'pending' && at !== undefined ? isoOf(at) : null
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

function secretReply({ current, previous }: Awaited<ReturnType<Context['webhooks']['secrets']>>) {
  const body: z.infer<typeof secretObject> = {
    key: current,
    previous_expires_at: previous === undefined ? null : isoOf(previous.until),
  }
  return { status: 200, headers: { 'Cache-Control': 'no-store' }, body }
}
