// What a route is: one entry of the table that is served, documented and tested from.
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { Preferences } from './prefer.ts'

/** What a handler gets: checked values, and nothing of the HTTP framework. */
export interface ApiRequest<Params, Query, Body> {
  /** Goes into X-Request-Id and logs. */
  id: string
  params: Params
  query: Query
  body: Body
  /** What comes in, of a route with a `form`; nothing has read it. */
  uploadBody: UploadBody | undefined
  /** Who asks: the hash of an API key's name. */
  owner: string
  prefer: Preferences
  /** Whether the caller asked for Server-Sent Events. */
  wantsEvents: boolean
  /** The Range header. */
  range: string | undefined
  idempotencyKey: string | undefined
  /** W3C trace context, if the caller sent a valid one. */
  traceparent: string | undefined
  /** Where this api was reached, without a slash at the end. */
  baseUrl: string
  /** Aborts when the caller hangs up. */
  disconnected: AbortSignal
}

/** A body that is too large to be held, as it comes. */
export interface UploadBody {
  contentType: string
  stream: Readable
  /** Aborts with the error to be thrown when it does not move. */
  stalled: AbortSignal
}

/** A body that is sent as it is made. */
export class Streamed {
  readonly content: AsyncIterable<Buffer | string>

  constructor(content: AsyncIterable<Buffer | string>) {
    this.content = content
  }
}

/** What a handler returns; a string, a Buffer or a Streamed is sent as it is, anything else as JSON. */
export interface RouteReply {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

export interface DocumentedResponse {
  description: string
  schema?: z.ZodType
  example?: unknown
  contentType?: string
}

/** One route. `Context` is what the handlers of a product share. */
export interface RouteOptions<Context, Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  method: 'get' | 'post' | 'put' | 'delete'
  /** As Express writes it; `:name` is a parameter. */
  path: string
  /** The section of the documentation. */
  tag: string
  summary: string
  description?: string
  /** Needs no API key. */
  public?: boolean
  /** A 503 of this route is held back for a moment: some clients repeat it without a pause. */
  isPredict?: boolean
  /** How errors look: a problem document unless said otherwise. */
  errors?: 'openai'
  /** It also answers with events, to those who accept nothing else. */
  supportsSse?: boolean
  /** Its answer is bytes, whatever types the caller accepts. */
  isBinary?: boolean
  /** The fields of a multipart/form-data body, for the documentation: the handler reads the stream itself. */
  form?: z.ZodType
  params?: Params
  query?: Query
  body?: Body
  /** A body, or parameters, that work in /docs as they are. */
  example?: { body?: unknown; params?: Record<string, string>; query?: Record<string, string> }
  responses: Record<number, DocumentedResponse>
  /** Problem documents that this route may answer with, besides 401, 404 (route) and 500. */
  errorStatuses?: number[]
  handler: (
    context: Context,
    request: ApiRequest<z.infer<Params>, z.infer<Query>, z.infer<Body>>,
  ) => Promise<RouteReply> | RouteReply
}

export type Route<Context> = RouteOptions<Context, z.ZodType, z.ZodType, z.ZodType>

/** Returns a function that makes routes of one context; it infers the types of a route's handler from its schemas. */
export function routesWith<Context>() {
  return <
    Params extends z.ZodType = z.ZodType<Record<string, string>>,
    Query extends z.ZodType = z.ZodType<unknown>,
    Body extends z.ZodType = z.ZodType<undefined>,
  >(
    options: RouteOptions<Context, Params, Query, Body>,
  ): Route<Context> => options
}
