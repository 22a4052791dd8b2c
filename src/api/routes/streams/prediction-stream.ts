// Streams the events of a prediction. A stream only watches: another api continues it, and its end changes nothing.
import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { pause } from '../../../async.ts'
import { AppError, conflict, notFound } from '../../../errors.ts'
import { throwIfRowsFailed } from '../../../predict/answers.ts'
import type { Prediction } from '../../../predict/predictions.ts'
import { finishedResult } from '../../../predict/sync-predictor.ts'
import { readJobProgress } from '../../../queue/job-state.ts'
import { isRedisUnavailable } from '../../../redis/errors.ts'
import type { Context } from '../../context.ts'
import { startDeadline } from '../../http/deadline.ts'
import { type ProblemDocument, problemOf } from '../../http/problem.ts'
import type { ApiRequest, RouteReply } from '../../http/route.ts'
import { sseReply } from '../../http/streams/sse.ts'
import { statusOf, toPredictionObject } from '../prediction-view.ts'
import { route } from '../route.ts'
import { waitUrgently } from '../urgency.ts'
import { EVENTS, type EventName, eventsOf, laterEvents, type PredictionEvent } from './prediction-events.ts'

type Request = ApiRequest<unknown, unknown, unknown>

const EXAMPLE_ID = '0190f3f2-7c1e-7000-8000-000000000000'
/** Interval of the reads with few streams, milliseconds; with many, all of them together read 128 times a second. */
const [READ_MS, STREAMS_PER_READ] = [500, 64]
/** The shortest time from one queued event to the next, milliseconds. */
const QUEUED_MS = 2_000

const names = z
  .string()
  .max(100)
  .transform((list) => list.split(','))
  .pipe(z.array(z.enum(EVENTS)))
  .meta({
    type: 'string',
    pattern: `^(${EVENTS.join('|')})(,(${EVENTS.join('|')}))*$`,
    description: `Names of the events to send, separated by commas; default: ${EVENTS.join(',')}`,
  })

export const predictionStreamRoute = route({
  method: 'get',
  path: '/v1/predictions/:id/stream',
  operationId: 'streamPrediction',
  tag: 'Predictions',
  summary: 'Stream the events of a prediction until its end',
  description:
    'Server-Sent Events: queued (position, eta_seconds; again when they change), started, output (the scores), error (a ' +
    'problem) and done. Last-Event-ID continues after that event; 204 after done. urls.stream is this address with a token ' +
    'in place of the API key.',
  requestHeaders: ['Last-Event-ID', 'Prefer'],
  takesLinkToken: true,
  params: z.object({ id: z.string().toLowerCase().describe('A UUID') }),
  query: z.strictObject({
    events: names.optional(),
    token: z.string().max(100).optional().describe('The token of urls.stream, in place of an API key'),
  }),
  example: { params: { id: EXAMPLE_ID } },
  responses: {
    200: { description: 'Events', contentType: 'text/event-stream', schema: z.string() },
    204: { description: 'The client has received all events' },
  },
  errorStatuses: [404, 406, 410, 422, 429, 503],
  handler: async (context, request) => {
    const { owner, params, prefer, query, lastEventId, linkToken } = request
    const isUrgent = prefer.wait !== undefined
    const found = await context.predictions.find(owner, params.id, isUrgent ? undefined : readJobProgress)
    if (linkToken !== undefined && !isEqual(found.record.stream_token, linkToken)) throw notFound('no such prediction')
    const later = laterEvents(await readEvents(context, request, found), lastEventId)
    if (hasEnded(found) && later.length === 0) return { status: 204 }
    const places = takePlaces(context, request)
    return streamReply(context, request, found, places, { isNew: false, names: query.events })
  },
})

/** @throws AppError 429. @returns the function that returns the places of a stream. */
export function takePlaces({ streams, polls }: Context, { owner, prefer }: Request): () => void {
  const place = streams.take(owner)
  if (prefer.wait === undefined) return place
  try {
    const poll = polls.take(owner)
    return () => [place, poll].forEach((release) => release())
  } catch (error) {
    place()
    throw error
  }
}

export interface StreamOptions {
  /** Whether this api gets the reply of the worker. */
  isNew: boolean
  /** The events to send; undefined: all. */
  names?: EventName[] | undefined
  headers?: Record<string, string>
}

/** @param release returns the places of the stream, once the response is closed. */
export function streamReply(
  context: Context,
  request: Request,
  prediction: Prediction,
  release: () => void,
  { isNew, names: wanted, headers = {} }: StreamOptions,
): RouteReply {
  const { prefer } = request
  const { shutdown } = context
  const urgent = prefer.wait === undefined ? undefined : startDeadline(prefer.wait, request, shutdown.signal)
  // With Prefer: wait it is as urgent as one that a long poll waits for; what goes wrong is seen in the stream.
  if (urgent && prefer.wait !== undefined && !hasEnded(prediction))
    waitUrgently(context, prediction, prefer.wait, urgent.signal).catch(() => undefined)
  const reply = sseReply(send(context, request, { prediction, isNew, wanted }), shutdown.signal, () => {
    urgent?.end()
    release()
  })
  return { ...reply, headers: { ...reply.headers, ...headers } }
}

interface Watched {
  prediction: Prediction
  isNew: boolean
  wanted: EventName[] | undefined
}

/** Yields what has happened since the last event, until the end. */
async function* send(
  context: Context,
  request: Request,
  { prediction, isNew, wanted }: Watched,
): AsyncGenerator<PredictionEvent> {
  let last = request.lastEventId
  let queuedAt = Number.NEGATIVE_INFINITY
  try {
    for await (const events of progress(context, request, prediction, isNew)) {
      for (const event of laterEvents(events, last)) {
        if (event.event === 'queued' && performance.now() - queuedAt < QUEUED_MS) continue
        if (event.event === 'queued') queuedAt = performance.now()
        last = event.id
        if (!wanted || wanted.includes(event.event)) yield event
      }
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    // The prediction was erased or has expired, or its output cannot be shown.
    const run = last?.split('-')[0] ?? '0.0'
    yield { id: `${run}-error`, event: 'error', data: problem(error, prediction.id.uuid, request) }
    yield { id: `${run}-done`, event: 'done', data: { id: prediction.id.uuid, reason: 'error' } }
  }
}

/**
 * Yields the events of the prediction now and again until it has ended, the client is gone or the process stops. An
 * unreachable Redis delays the next ones.
 */
async function* progress(
  context: Context,
  request: Request,
  first: Prediction,
  isNew: boolean,
): AsyncGenerator<PredictionEvent[]> {
  const { predictions, streams, shutdown } = context
  const until = AbortSignal.any([request.disconnected, shutdown.signal])
  const { owner, uuid } = first.id
  // The place of a job that was just added is not known yet.
  let known = isNew ? undefined : first
  while (!until.aborted) {
    const ms = READ_MS * Math.max(1, Math.ceil(streams.taken / STREAMS_PER_READ))
    const deadline = startDeadline(ms, request, shutdown.signal)
    try {
      const prediction = known ?? (await predictions.find(owner, uuid, readJobProgress))
      yield await readEvents(context, request, prediction)
      if (hasEnded(prediction)) return
      await predictions.waitFor(prediction.id, prediction.record, deadline.signal, !isNew)
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error
      await pause(ms, until)
    } finally {
      deadline.end()
      known = undefined
    }
  }
}

async function readEvents(context: Context, request: Request, prediction: Prediction): Promise<PredictionEvent[]> {
  const complete = await context.predictions.withWorkBefore(prediction)
  const object = await toPredictionObject(complete, context.fleet, request.baseUrl)
  const failure = hasEnded(prediction) ? failureOf(prediction) : undefined
  return eventsOf(prediction, object, failure && problem(failure, prediction.id.uuid, request))
}

function problem(error: AppError, uuid: string, { id }: Request): ProblemDocument {
  return problemOf(error, `/v1/predictions/${uuid}`, id)
}

/** Whether no event follows: also a prediction that is canceled before its worker knows. */
function hasEnded({ job, record }: Prediction): boolean {
  return !['starting', 'processing'].includes(statusOf(job, record.canceled_at !== undefined))
}

/** The error that a plain call would get. */
function failureOf({ job, record }: Prediction): AppError | undefined {
  if (record.canceled_at !== undefined) return conflict('the prediction was canceled')
  try {
    throwIfRowsFailed(finishedResult(job).rows)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

function isEqual(secret: string | undefined, given: string): boolean {
  return secret?.length === given.length && timingSafeEqual(Buffer.from(secret), Buffer.from(given))
}
