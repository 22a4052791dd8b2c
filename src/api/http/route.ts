// The type of a route-table entry.
// The router, the OpenAPI document and the tests all read the table.
import type { Readable } from 'node:stream'
import type * as z from 'zod'
import type { RequestTrace } from '../../telemetry/request-trace.ts'
import type { JsonLimits } from '../../validation/json-limits.ts'
import type { Preferences } from './headers/prefer.ts'
import type { Role } from './keys/roles.ts'
import type { HeaderName } from './openapi-headers.ts'

/** The input of a handler: validated values, independent of the HTTP framework. */
export interface ApiRequest<Params, Query, Body> {
  /** Sent in X-Request-Id and logged. */
  id: string
  params: Params
  query: Query
  body: Body
  /** The unread body of a route with a `form`; undefined for other routes. */
  uploadBody: UploadBody | undefined
  /** The owner of the request's records: the hash of an API key's name; `public` without keys; empty for an unknown key. */
  owner: string
  prefer: Preferences
  /** Whether the client prefers Server-Sent Events. */
  wantsEvents: boolean
  /** The Range header. */
  range: string | undefined
  idempotencyKey: string | undefined
  /** The Last-Event-ID header: what a client received before it connected again. */
  lastEventId: string | undefined
  /** The token of the link, which stands for an API key; undefined when the request has a key. The handler checks it. */
  linkToken: string | undefined
  /** Milliseconds of Cancel-After, on routes that document it. */
  cancelAfter: number | undefined
  /** The W3C trace context of its jobs; undefined when absent, invalid or not sampled. */
  traceparent: string | undefined
  /** undefined when nothing is traced. */
  trace: RequestTrace | undefined
  /** The base of this api's URLs as the client sees it, without a trailing slash. */
  baseUrl: string
  /** Aborts when the client disconnects. */
  readonly disconnected: AbortSignal
  /** Calls the listener when the client disconnects; returns the function that removes it. */
  onDisconnect: (listener: () => void) => () => void
  /** Adds the model that was found to the log line of the request. */
  logModel: (name: string) => void
}

/** A streamed request body, which may be too large for memory. */
export interface UploadBody {
  contentType: string
  stream: Readable
  /** Aborts when the upload stalls; its reason is the error to throw. */
  stalled: AbortSignal
}

/** A response body that is sent while it is generated. */
export class Streamed {
  readonly content: AsyncIterable<Buffer | string>
  /** Called when the response is closed; the handler has taken a place of the streams. Undefined: the router takes one. */
  readonly release: (() => void) | undefined

  constructor(content: AsyncIterable<Buffer | string>, release?: () => void) {
    this.content = content
    this.release = release
  }
}

/** The result of a handler. A string, a Buffer or a Streamed body is sent unchanged, any other value as JSON. */
export interface RouteReply {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

/** Headers of requests that the OpenAPI document describes. */
export type RequestHeader = 'Prefer' | 'Idempotency-Key' | 'Cancel-After' | 'Range' | 'Last-Event-ID'

export interface DocumentedResponse {
  description: string
  headers?: HeaderName[]
  schema?: z.ZodType
  example?: unknown
  contentType?: string
}

/** One route. `Context` is the state that all handlers share. */
export interface RouteOptions<Context, Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'delete'
  /** In Express's syntax; `:name` is a parameter. */
  path: string
  /** Name of the operation: generators of clients make a function of it. */
  operationId: string
  /** Section of the OpenAPI document. */
  tag: string
  summary: string
  description?: string
  /** The route needs no API key. */
  public?: boolean
  /** A token in the query may stand for an API key, for clients that send none with a link. */
  takesLinkToken?: boolean
  /** The least role of an API key that may use the route; default: see requiredRole. */
  role?: Role
  /** The route answers under every Host, as health checks of load balancers send it. */
  anyHost?: boolean
  /** A 503 of this route is delayed, because some clients retry it without back-off. */
  isPredict?: boolean
  /** Format of error bodies; default: problem documents. */
  errors?: 'openai'
  /** The route can also respond with Server-Sent Events, to clients that prefer them to JSON. */
  supportsSse?: boolean
  /** The response is bytes, and the Accept header is ignored. */
  isBinary?: boolean
  /** Fields of a multipart/form-data body, for the OpenAPI document only: the handler reads the stream. */
  form?: z.ZodType
  params?: Params
  query?: Query
  body?: Body
  /** The body as the OpenAPI document shows it; default: `body`. */
  documentedBody?: z.ZodType
  requestHeaders?: RequestHeader[]
  /** Structure of the largest valid body; a route with a body has them. */
  bodyLimits?: JsonLimits
  /** A body and parameters that are valid as they stand, for /docs. */
  example?: { body?: unknown; params?: Record<string, string>; query?: Record<string, string> }
  responses: Record<number, DocumentedResponse>
  /** Statuses of this route's error responses, besides 401, 404 (no such route) and 500. */
  errorStatuses?: number[]
  handler: (
    context: Context,
    request: ApiRequest<z.infer<Params>, z.infer<Query>, z.infer<Body>>,
  ) => Promise<RouteReply> | RouteReply
}

export type Route<Context> = RouteOptions<Context, z.ZodType, z.ZodType, z.ZodType>

/** Returns the factory of routes with this context, which infers a handler's types from the route's schemas. */
export function routesWith<Context>() {
  return <
    Params extends z.ZodType = z.ZodType<Record<string, string>>,
    Query extends z.ZodType = z.ZodType<unknown>,
    Body extends z.ZodType = z.ZodType<undefined>,
  >(
    options: RouteOptions<Context, Params, Query, Body>,
  ): Route<Context> => options
}
