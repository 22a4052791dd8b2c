// Numbers, checks, times and logs every request. A query may hold a text, so only paths are ever logged.
import { randomUUID } from 'node:crypto'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { AppError, malformed } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import type { ApiMetrics } from '../../metrics.ts'

const MAX_HEADERS = 100

/** What the handlers of one request share. */
export interface RequestState {
  /** Goes into X-Request-Id and logs. */
  id: string
  /** On the clock of performance.now(), milliseconds. */
  startedAt: number
  /** The route's path as metrics and logs name it. */
  route: string
  /** Whether the route predicts: its 503 is held back. */
  isPredict: boolean
  /** The format of an error's body. */
  errors: 'problem' | 'openai'
}

/** The state of a request that assignRequestId has seen. */
export function requestState(response: Response): RequestState {
  return response.locals['state'] as RequestState
}

/** Echoes X-Request-Id, or makes one, and begins the request's state. */
export function assignRequestId(request: Request, response: Response, next: NextFunction): void {
  const given = request.get('x-request-id')
  const id = given !== undefined && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
  const state: RequestState = {
    id,
    startedAt: performance.now(),
    route: 'unknown',
    isPredict: false,
    errors: 'problem',
  }
  response.locals['state'] = state
  response.setHeader('X-Request-Id', id)
  next()
}

/** Refuses what cannot be read: a path or query that is not UTF-8, too many headers. */
export function rejectMalformedRequest(request: Request, _response: Response, next: NextFunction): void {
  if (request.rawHeaders.length / 2 > MAX_HEADERS) {
    throw new AppError('TooLarge', 431, `more than ${MAX_HEADERS} headers`, { headers: { Connection: 'close' } })
  }
  try {
    decodeURIComponent(request.originalUrl)
  } catch {
    throw malformed('the URL is not UTF-8')
  }
  next()
}

/** Observes duration by route and status; logs a 500 as an error, other 5xx as warnings, 4xx as info, the rest as debug. */
export function logRequests(logger: Logger, metrics: ApiMetrics): RequestHandler {
  return (request, response, next) => {
    response.on('close', () => {
      const { id, startedAt, route } = requestState(response)
      const seconds = (performance.now() - startedAt) / 1_000
      const status = response.writableFinished ? response.statusCode : 499
      metrics.requests.observe({ method: request.method, route, status }, seconds)
      const level = levelOf(status)
      if (!logger.isLevelEnabled(level)) return
      const ms = Math.round(seconds * 1_000)
      logger[level]({ request_id: id, method: request.method, route, status, ms }, 'request')
    })
    next()
  }
}

/** Only a 500 is a fault of ours: 503 and 504 tell of something that is away, or late. */
function levelOf(status: number): 'error' | 'warn' | 'info' | 'debug' {
  if (status === 500) return 'error'
  if (status > 500) return 'warn'
  return status >= 400 ? 'info' : 'debug'
}
