// What a route is: one entry of the table that is served, documented and tested from.
import type { z } from 'zod'
import type { Context } from './context.ts'
import type { Preferences } from './prefer.ts'

/** What a handler gets: checked values, and nothing of the HTTP framework. */
export interface ApiRequest<Params, Query, Body> {
  /** Goes into X-Request-Id and logs. */
  id: string
  params: Params
  query: Query
  body: Body
  /** Who asks: the hash of an API key's name. */
  owner: string
  prefer: Preferences
  idempotencyKey: string | undefined
  /** W3C trace context, if the caller sent a valid one. */
  traceparent: string | undefined
  /** Where this api was reached, without a slash at the end. */
  baseUrl: string
  /** Aborts when the caller hangs up. */
  hungUp: AbortSignal
}

/** What a handler returns; a string or Buffer is sent as it is, anything else as JSON. */
export interface Reply {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

export interface Documented {
  description: string
  schema?: z.ZodType
  example?: unknown
  contentType?: string
}

export interface RouteOptions<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'delete'
  /** As Express writes it; `:name` is a parameter. */
  path: string
  tag: 'Predict' | 'Predictions' | 'Models' | 'Operations' | 'Pages'
  summary: string
  description?: string
  /** Needs no API key. */
  open?: boolean
  /** A 503 of this route is held back for a moment: some clients repeat it without a pause. */
  predicts?: boolean
  params?: Params
  query?: Query
  body?: Body
  /** A body, or parameters, that work in /docs as they are. */
  example?: { body?: unknown; params?: Record<string, string>; query?: Record<string, string> }
  responses: Record<number, Documented>
  /** Problem documents that this route may answer with, besides 401, 404 (route) and 500. */
  problems?: number[]
  handler: (
    context: Context,
    request: ApiRequest<z.infer<Params>, z.infer<Query>, z.infer<Body>>,
  ) => Promise<Reply> | Reply
}

export type Route = RouteOptions<z.ZodType, z.ZodType, z.ZodType>

/** Infers the types of a route's handler from its schemas. */
export function route<
  Params extends z.ZodType = z.ZodType<Record<string, string>>,
  Query extends z.ZodType = z.ZodType<unknown>,
  Body extends z.ZodType = z.ZodType<undefined>,
>(options: RouteOptions<Params, Query, Body>): Route {
  return options
}
