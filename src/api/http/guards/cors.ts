// CORS: web pages of the origins in CORS_ORIGINS may call the api.
import cors from 'cors'
import type { RequestHandler } from 'express'

/** Headers of answers that a page may read, besides those that are always readable. */
const EXPOSED = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Range',
  'Idempotency-Replayed',
  'Location',
  'Preference-Applied',
  'Retry-After',
  'Server-Timing',
  'X-Compute-Tokens',
  'X-Model',
  'X-Model-Revision',
  'X-Request-Id',
  'X-Truncated-Texts',
  'X-Worker',
]
const PREFLIGHT_SECONDS = 7_200

/**
 * Answers preflight requests and adds the headers, without credentials: a page has to send an API key itself.
 * @param origins lower case; `*` allows every page.
 */
export function allowOrigins(origins: string[]): RequestHandler {
  return cors({
    origin: origins.includes('*') ? '*' : origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders: EXPOSED,
    maxAge: PREFLIGHT_SECONDS,
  })
}
