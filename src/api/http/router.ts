// Serves the route table with Express.
// Only this file depends on both, so handlers are independent of the framework.
import { pipeline } from 'node:stream/promises'
import express, { type Request, type RequestHandler, type Response, type Router } from 'express'
import type * as z from 'zod'
import { AppError, malformed } from '../../errors.ts'
import { checked, checkedBody } from '../../validation/check.ts'
import type { JsonLimits } from '../../validation/json-limits.ts'
import { type AccessGuards, accessGuards } from './guards/access.ts'
import { setSecurityHeaders } from './guards/page-headers.ts'
import { baseUrlOf } from './guards/public-url.ts'
import { RequestTurns } from './guards/request-turns.ts'
import { parseCancelAfter } from './headers/cancel-after.ts'
import { parsePrefer } from './headers/prefer.ts'
import { parseJson } from './json-body.ts'
import type { KeyRing } from './keys/key-ring.ts'
import { linkTokenOf } from './keys/link-token.ts'
import { requireRole } from './keys/roles.ts'
import { type RequestState, requestState } from './request-log.ts'
import { type Route, type RouteReply, Streamed, type UploadBody } from './route.ts'
import type { UploadTimeouts } from './streams/upload-timeout.ts'

/** The part of the process's context that the router uses. */
export interface HttpContext {
  keys: KeyRing
  config: {
    port: number
    /** The base of URLs in answers, without a trailing slash; undefined: as the request addresses the api. */
    publicUrl: string | undefined
    allowedHosts: string[]
    corsOrigins: string[]
    /** Maximum size of a body, also after decompression, bytes. */
    maxBody: number
    /** Wait of `Prefer: wait` without a number, milliseconds. */
    waitTimeout: number
    /** Upper limit of `Prefer: wait=n`, milliseconds. */
    maxWait: number
  }
  uploadTimeouts: UploadTimeouts
  /** Places of answers and bodies that are streamed. `take` throws AppError 429 when the owner gets none. */
  streams: { take: (owner: string) => () => void }
}

const EVENT_STREAM = 'text/event-stream'

/** Adds every route. Another method of a route's path gets a 405 with the Allow header. */
export function mountRoutes<Context extends HttpContext>(
  router: Router,
  context: Context,
  routes: Route<Context>[],
): void {
  const guards = accessGuards(context.config, context.keys.isOpen)
  const turns = new RequestTurns(() => context.keys.owners)
  const readBody = express.raw({ type: () => true, limit: context.config.maxBody })
  const handlers = new Map<string, RequestHandler>()
  // Express tries the routes one by one; a path without parameters, written as in the table, is found here.
  router.use((request, response, next) => {
    const handler = handlers.get(request.path)
    if (handler) handler(request, response, next)
    else next()
  })
  for (const path of new Set(routes.map((each) => each.path))) {
    const ofPath = routes.filter((each) => each.path === path)
    const allowed = allowedMethods(ofPath)
    const handle: RequestHandler = (request, response, next) => {
      const method = request.method === 'HEAD' ? 'GET' : request.method
      const route = ofPath.find((each) => each.method.toUpperCase() === method)
      Object.assign(requestState(response), {
        route: path,
        isPredict: route?.isPredict === true,
        errors: ofPath[0]?.errors ?? 'problem',
      } satisfies Partial<RequestState>)
      if (request.method === 'OPTIONS') return void response.status(204).set('Allow', allowed).end()
      if (!route || !allowed.includes(request.method)) throw methodNotAllowed(allowed)
      const caller = admitCaller(route, guards, context.keys, request)
      const { owner } = caller
      requestState(response).owner = owner
      const answer = () => void handleRequest(route, context, caller, request, response).catch(next)
      const takeTurn = () => (route.public ? answer() : turns.take(owner, answer))
      if (!route.body) return takeTurn()
      rejectNonJson(request)
      rejectTooLarge(request, context.config.maxBody)
      allowBody(request, response)
      return readBody(request, response, (error?: unknown) => (error === undefined ? takeTurn() : next(error)))
    }
    router.all(path, handle)
    if (!path.includes(':')) handlers.set(path, handle)
  }
}

interface Caller {
  /** Empty without a key on a public route. */
  owner: string
  /** The token that stands for a key, which the handler checks. */
  linkToken: string | undefined
}

/** Everything that can refuse a caller before its body is read. */
function admitCaller(route: Route<never>, guards: AccessGuards, keys: KeyRing, request: Request): Caller {
  if (!route.anyHost) guards.host(request)
  if (!route.public) guards.origin(request, route.isPredict)
  const authorization = request.get('authorization')
  const known = keys.callerOf(authorization)
  const link = known || !route.takesLinkToken ? undefined : linkTokenOf(keys, request.query['token'])
  if (link) return link
  if (route.public) return { owner: known?.owner ?? '', linkToken: undefined }
  const { owner, role } = known ?? keys.authenticate(authorization)
  requireRole(role, route)
  return { owner, linkToken: undefined }
}

async function handleRequest<Context extends HttpContext>(
  route: Route<Context>,
  context: Context,
  { owner, linkToken }: Caller,
  request: Request,
  response: Response,
): Promise<void> {
  const { config } = context
  const { trace } = requestState(response)
  rejectUnacceptable(route, request)
  let disconnected: AbortSignal | undefined
  const reply = await route.handler(context, {
    id: requestState(response).id,
    params: route.params ? checked(route.params, { ...request.params }) : request.params,
    query: route.query ? checked(route.query, { ...request.query }) : undefined,
    body: route.body && route.bodyLimits ? jsonBody(request, route.body, route.bodyLimits) : undefined,
    uploadBody: route.form ? uploadBodyOf(context, owner, request, response) : undefined,
    owner,
    prefer: parsePrefer(request.get('prefer'), config.waitTimeout, config.maxWait),
    wantsEvents: route.supportsSse === true && request.accepts(['application/json', EVENT_STREAM]) === EVENT_STREAM,
    range: request.get('range'),
    idempotencyKey: idempotencyKeyOf(request),
    lastEventId: request.get('last-event-id'),
    linkToken,
    cancelAfter: cancelAfterOf(route, request),
    traceparent: trace ? trace.traceparent : traceparentOf(request),
    trace,
    baseUrl: baseUrlOf(request, config.publicUrl, config.port),
    get disconnected() {
      disconnected ??= disconnectedSignal(response)
      return disconnected
    },
    onDisconnect: (listener) => onDisconnect(response, listener),
    logModel: (name) => void (requestState(response).model = name),
  })
  if (reply.body instanceof Streamed) await holdStreamPlace(context, owner, response, reply.body)
  await send(request, response, reply)
}

function disconnectedSignal(response: Response): AbortSignal {
  const controller = new AbortController()
  onDisconnect(response, () => controller.abort())
  return controller.signal
}

function onDisconnect(response: Response, listener: () => void): () => void {
  const onClose = () => response.writableFinished || listener()
  if (response.closed) onClose()
  else response.on('close', onClose)
  return () => response.off('close', onClose)
}

/** Holds a place until the response is closed. @throws AppError 429, after the end of the content. */
async function holdStreamPlace({ streams }: HttpContext, owner: string, response: Response, streamed: Streamed) {
  const { content, release } = streamed
  try {
    onceClosed(response, release ?? streams.take(owner))
  } catch (error) {
    await content[Symbol.asyncIterator]().return?.()
    throw error
  }
}

function onceClosed(response: Response, release: () => void): void {
  if (response.closed) release()
  else response.once('close', release)
}

function uploadBodyOf(
  { uploadTimeouts, streams }: HttpContext,
  owner: string,
  request: Request,
  response: Response,
): UploadBody {
  onceClosed(response, streams.take(owner))
  allowBody(request, response)
  return { contentType: request.get('content-type') ?? '', stream: request, stalled: uploadTimeouts.watch(request) }
}

async function send(request: Request, response: Response, { status, headers, body }: RouteReply): Promise<void> {
  response.status(status)
  setSecurityHeaders(request, response, headers?.['Content-Type'])
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value)
  if (body instanceof Streamed && request.method !== 'HEAD') await stream(response, body)
  else if (body === undefined || body instanceof Streamed) response.end()
  else if (typeof body === 'string' || Buffer.isBuffer(body)) response.send(body)
  else sendJson(response, JSON.stringify(body))
}

/** Sends headers and body in one write, without an ETag: Express's `json` takes twice as long. A newline ends the body. */
function sendJson(response: Response, json: string): void {
  response.setHeader('Content-Type', 'application/json; charset=utf-8')
  const body = `${json}\n`
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}

/** Sends the headers immediately, before the first bytes of the body; a client disconnect is not an error. */
async function stream(response: Response, { content }: Streamed): Promise<void> {
  response.flushHeaders()
  try {
    await pipeline(content, response)
  } catch (error) {
    if (!response.destroyed || response.errored) throw error
  }
}

function allowedMethods(routes: Route<never>[]): string {
  const methods = routes.map(({ method }) => method.toUpperCase())
  const head = routes.some(({ method, isPredict }) => method === 'get' && !isPredict)
  return [...methods, ...(head ? ['HEAD'] : []), 'OPTIONS'].join(', ')
}

function methodNotAllowed(allowed: string): AppError {
  return new AppError('Validation', 405, `method not allowed; use ${allowed}`, { headers: { Allow: allowed } })
}

function jsonBody(request: Request, schema: z.ZodType, limits: JsonLimits): unknown {
  return checkedBody(schema, parseJson(bodyOf(request), limits))
}

function bodyOf(request: Request): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

/** @throws AppError 415 unless Content-Type is JSON in UTF-8. A request without a body passes: parseJson rejects it. */
function rejectNonJson(request: Request): void {
  const type = request.get('content-type')
  if (type === undefined && !Number(request.get('content-length')) && !request.get('transfer-encoding')) return
  const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(type ?? '')?.[1]?.toLowerCase() ?? 'utf-8'
  const isJson = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type ?? '')
  if (isJson && ['utf-8', 'utf8', 'us-ascii'].includes(charset)) return
  throw new AppError(
    'Validation',
    415,
    'the body must be JSON in UTF-8: send the header Content-Type: application/json',
  )
}

/** @throws AppError 413 for a body whose stated length is over the limit. */
function rejectTooLarge(request: Request, maxBytes: number): void {
  if (!(Number(request.get('content-length')) > maxBytes)) return
  throw new AppError('TooLarge', 413, 'the body is too large', { headers: { Connection: 'close' } })
}

/** Sends "100 Continue" to a client that waits for it. */
function allowBody(request: Request, response: Response): void {
  if (request.get('expect')?.toLowerCase() === '100-continue') response.writeContinue()
}

function rejectUnacceptable(route: Route<never>, request: Request): void {
  const accept = request.get('accept')
  if (route.isBinary || accept === undefined || accept === '*/*') return
  const bodies = Object.values(route.responses).filter(({ schema }) => schema !== undefined)
  const types = bodies.map(({ contentType }) => contentType ?? 'application/json')
  if (types.length === 0) types.push('application/json')
  if (route.supportsSse) types.push(EVENT_STREAM)
  if (request.accepts(types) !== false) return
  throw new AppError('Validation', 406, `not acceptable; available: ${[...new Set(types)].join(', ')}`)
}

function idempotencyKeyOf(request: Request): string | undefined {
  const key = request.get('idempotency-key')
  if (key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw malformed('Idempotency-Key must have 1 to 255 printable ASCII characters')
}

function cancelAfterOf({ requestHeaders }: Route<never>, request: Request): number | undefined {
  return requestHeaders?.includes('Cancel-After') ? parseCancelAfter(request.get('cancel-after')) : undefined
}

function traceparentOf(request: Request): string | undefined {
  const given = request.get('traceparent')
  return given !== undefined && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(given) ? given : undefined
}
