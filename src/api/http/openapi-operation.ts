// One operation of the OpenAPI document.
import { STATUS_CODES } from 'node:http'
import type { RouteConfig } from '@asteasolutions/zod-to-openapi'
import * as z from 'zod'
import { requiredRole } from './keys/roles.ts'
import { openAiErrorDocument } from './openai-format.ts'
import { ERROR_HEADERS, type HeaderName, RESPONSE_HEADERS } from './openapi-headers.ts'
import { problemDocument } from './problem.ts'
import type { DocumentedResponse, RequestHeader, Route } from './route.ts'

/** Of every route: a malformed request, headers that are too large, and a fault of the server. */
const EVERY_ROUTE = [400, 431, 500]
/** Of routes with a body: one that does not arrive in time. */
const WITH_BODY = [408]

/** The usual ones of the times that the header takes: a pattern cannot have the limit of seven days. */
const CANCEL_AFTER = /^([1-9]\d{0,4}s?|[1-9]\d{0,3}m|[1-9]\d?h([1-9]\d?m)?|[1-7]d)$/

const requestHeaders: Record<RequestHeader, z.ZodType> = {
  Prefer: z.string().optional().describe('wait[=seconds], respond-async, handling=lenient'),
  'Idempotency-Key': z
    .string()
    .regex(/^[ -~]{1,255}$/)
    .optional()
    .describe('A repeated request with the same key gets the answer of the first one'),
  'Last-Event-ID': z.string().optional().describe('The id of the last event that was received'),
  'Cancel-After': z
    .string()
    .regex(CANCEL_AFTER)
    .optional()
    .describe('The longest time that it may take, from 1s to 7d, such as 30s, 5m, 1h30m, or 30 for 30 seconds'),
  Range: z.string().optional().describe('One range, such as bytes=0-99'),
}

type ErrorKind = [contentType: string, schema: z.ZodType]

export function operationOf(route: Route<never>, hasKeys: boolean): RouteConfig {
  const secured = hasKeys && !route.public
  const errors: ErrorKind =
    route.errors === 'openai'
      ? ['application/json', openAiErrorDocument]
      : ['application/problem+json', problemDocument]
  const statuses = new Set([
    ...(route.errorStatuses ?? []),
    ...(secured ? [401] : []),
    ...(route.public ? [] : [403]),
    ...(route.body || route.form ? WITH_BODY : []),
    // Every query and body is checked against its schema; OpenAI's format has 400.
    ...((route.query || route.body) && route.errors !== 'openai' ? [422] : []),
    // Bytes are sent whatever Accept is.
    ...(route.isBinary ? [] : [406]),
    ...EVERY_ROUTE,
  ])
  const headers = Object.fromEntries((route.requestHeaders ?? []).map((name) => [name, requestHeaders[name]]))
  const body = route.documentedBody ?? route.body
  return {
    method: route.method,
    path: openApiPath(route.path),
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: route.description ?? `${route.summary}.`,
    ...(hasKeys && route.public ? { security: [] } : {}),
    ...(secured ? { 'x-required-role': requiredRole(route) } : {}),
    request: {
      ...(route.params ? { params: route.params as z.ZodObject } : {}),
      ...(route.query ? { query: route.query as z.ZodObject } : {}),
      ...(route.requestHeaders ? { headers: z.object(headers) } : {}),
      ...(body ? { body: bodyOf(body, route.example?.body) } : {}),
      ...(route.form ? { body: { required: true, content: { 'multipart/form-data': { schema: route.form } } } } : {}),
    },
    responses: Object.fromEntries([
      ...Object.entries(route.responses).map(([status, documented]) => [
        status,
        // Those of a creation are described in words: generated types of its answer would be a string too.
        responseOf(documented, route.supportsSse === true && route.method === 'get'),
      ]),
      ...[...statuses].map((status) => [String(status), errorOf(status, errors)]),
    ]),
  }
}

function bodyOf(schema: z.ZodType, example: unknown) {
  return { required: true, content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } } }
}

function responseOf(documented: DocumentedResponse, withEvents: boolean) {
  const { description, schema, example, contentType = 'application/json' } = documented
  const headers = headersOf(documented.headers)
  if (!schema) return { description, headers }
  const media = { schema, ...(example === undefined ? {} : { example }) }
  const events = withEvents ? { 'text/event-stream': { schema: z.string() } } : {}
  return { description, headers, content: { [contentType]: media, ...events } }
}

function errorOf(status: number, [contentType, schema]: ErrorKind) {
  const headers = headersOf(ERROR_HEADERS[status])
  return { description: STATUS_CODES[status] ?? '', headers, content: { [contentType]: { schema } } }
}

function headersOf(names: HeaderName[] = []) {
  return Object.fromEntries((['X-Request-Id', ...names] as const).map((name) => [name, RESPONSE_HEADERS[name]]))
}

/** `/models/:model` as `/models/{model}`. */
export function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}')
}
