// Assigns request ids, rejects malformed requests, and logs and measures each request.
// A query may contain a user's text, so logs have the route's path only.
import { randomUUID } from 'node:crypto'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { AppError, malformed } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { LineLimit } from '../../telemetry/line-limit.ts'
import type { ApiMetrics } from '../../telemetry/metrics.ts'
import { RequestTrace } from '../../telemetry/request-trace.ts'
import type { Tracer } from '../../telemetry/tracer.ts'
import { isHost } from './guards/hosts.ts'

const MAX_HEADERS = 100
/** A scan with every method of HTTP would add hundreds of time series. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']

/** State that the handlers of one request share. */
export interface RequestState {
  /** Sent in X-Request-Id and logged. */
  id: string
  /** On the clock of performance.now(), milliseconds. */
  startedAt: number
  /** The route's path, the label in metrics and logs. */
  route: string
  /** The owner of the request, as in its records; empty before the API key is checked, and without one. */
  owner: string
  /** Whether this is a predict route, whose 503 is delayed (error-handler.ts). */
  isPredict: boolean
  /** The model that was found for the request. */
  model?: string | undefined
  /** The message of the error that it got. */
  detail?: string | undefined
  /** The label of its refusal. */
  reason?: string | undefined
  /** undefined when nothing is traced. */
  trace?: RequestTrace
  /** Format of an error's body. */
  errors: 'problem' | 'openai'
}

/** The state that assignRequestId creates, which must run first. */
export function requestState(response: Response): RequestState {
  return response.locals['state'] as RequestState
}

/** Echoes a valid X-Request-Id or generates one, and creates the request's state. */
export function assignRequestId(request: Request, response: Response, next: NextFunction): void {
  const given = request.get('x-request-id')
  const id = given !== undefined && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
  const state: RequestState = {
    id,
    startedAt: performance.now(),
    route: 'unknown',
    owner: '',
    isPredict: false,
    errors: 'problem',
  }
  response.locals['state'] = state
  response.setHeader('X-Request-Id', id)
  next()
}

/** @throws AppError 431 for too many headers, 400 for a bad or repeated Host, or a path or query that is not UTF-8. */
export function rejectMalformedRequest(request: Request, _response: Response, next: NextFunction): void {
  if (request.rawHeaders.length / 2 > MAX_HEADERS) {
    throw new AppError('TooLarge', 431, `too many headers: at most ${MAX_HEADERS} are allowed`, {
      headers: { Connection: 'close' },
    })
  }
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name))
  const host = request.get('host')
  if (hosts.length > 1 || (host && !isHost(host))) throw malformed('invalid Host header')
  try {
    decodeURIComponent(request.originalUrl)
  } catch {
    throw malformed('the URL is not UTF-8')
  }
  next()
}

/**
 * Records the duration of each request by method, route and status; status 499 means that the client disconnected.
 * Logs a 500 at `error`, other 5xx at `warn`, 4xx at `info`, and the rest at `debug`. Of the same route, status and model, five
 * failed requests a second are logged, and the number of the others.
 */
export function logRequests(logger: Logger, metrics: ApiMetrics, tracer: Tracer | undefined): RequestHandler {
  const limit = new LineLimit((kind, leftOut) => {
    const [status = '', route, model] = kind.split(' ')
    const fields = { left_out: leftOut, status: Number(status), route, ...(model ? { model } : {}) }
    logger[levelOf(Number(status))](fields, 'more requests of this second')
  })
  return (request, response, next) => {
    const address = request.ip
    const trace = tracer && new RequestTrace(tracer, request.get('traceparent'))
    if (trace) requestState(response).trace = trace
    response.on('close', () => {
      const { id, startedAt, route, owner, model, detail, reason } = requestState(response)
      const seconds = (performance.now() - startedAt) / 1_000
      const status = response.writableFinished ? response.statusCode : 499
      const method = METHODS.includes(request.method) ? request.method : 'other'
      metrics.requests.observe({ method, route, status }, seconds)
      if (model !== undefined) metrics.outcomes.inc({ model, outcome: outcomeOf(status) })
      trace?.end({ id, method, route, status, model })
      const level = levelOf(status)
      if (!logger.isLevelEnabled(level)) return
      if (level !== 'debug' && !limit.allows(`${status} ${route} ${model ?? ''}`)) return
      const ms = Math.round(seconds * 1_000)
      const fields = {
        request_id: id,
        method: request.method,
        route,
        status,
        ms,
        owner,
        address,
        model,
        ...traceIdOf(trace, model),
      }
      logger[level](isRefusal(status) ? { ...fields, detail, reason } : fields, 'request')
    })
    next()
  }
}

/** The value of the metric's label; the names are those of inferq_requests_total in operations.md. */
function outcomeOf(status: number): 'success' | 'rejected' | 'timeout' | 'canceled' | 'failed' | 'invalid' {
  if (status < 400) return 'success'
  if (status === 499) return 'canceled'
  if (status === 504) return 'timeout'
  if (status === 429 || status === 503 || status === 507) return 'rejected'
  return status === 424 || status >= 500 ? 'failed' : 'invalid'
}

/** Only requests of a model are recorded. */
function traceIdOf(trace: RequestTrace | undefined, model: string | undefined): { trace_id?: string } {
  return trace?.traceId === undefined || model === undefined ? {} : { trace_id: trace.traceId }
}

/** Their messages name models, limits and dependencies, never what a client sent. */
function isRefusal(status: number): boolean {
  return status === 429 || status > 500
}

/** Only a 500 is a fault of this program: a 503 or 504 means that a dependency is unavailable or slow. */
function levelOf(status: number): 'error' | 'warn' | 'info' | 'debug' {
  if (status === 500) return 'error'
  if (status > 500) return 'warn'
  return status >= 400 ? 'info' : 'debug'
}
