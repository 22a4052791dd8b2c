// Requests to every operation of the OpenAPI document: nearly valid ones, and anything else.
import fc from 'fast-check'
import type { OpenApiDocument } from '../../../src/api/http/openapi.ts'

export interface FuzzedRequest {
  method: string
  /** The path of the document, for messages. */
  template: string
  path: string
  headers: Record<string, string>
  body: string | undefined
}

interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  example?: unknown
}

interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { example?: unknown }> }
}

const METHODS = ['get', 'post', 'put', 'delete']
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 40 }))
const scalar = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '-1',
    '1e9',
    'null',
    'true',
    '../..',
    'tiny-fp32',
    'tiny-fp32@x',
    '__proto__',
    '%00',
    'a'.repeat(300),
  ),
  fc.uuid(),
  text,
)
/** Printable, as clients can send it; a wait is short. */
const headerValue = fc.oneof(
  fc.constantFrom(
    '',
    '*/*',
    'text/event-stream',
    'wait=1',
    'respond-async',
    'bytes=0-0',
    'bytes=-0',
    'bytes=9-1,2-3',
    'identity',
    '1-1',
    '=',
    ',',
  ),
  fc.stringMatching(/^[!-~]{0,60}$/),
)
const HEADERS = [
  'accept',
  'prefer',
  'range',
  'idempotency-key',
  'last-event-id',
  'traceparent',
  'accept-encoding',
  'x-request-id',
]
const headers = fc.dictionary(fc.constantFrom(...HEADERS), headerValue, { maxKeys: 3 }).filter(isQuick)

function isQuick({ prefer = '' }: Record<string, string>): boolean {
  return !/wait/i.test(prefer) || prefer === 'wait=1'
}

const anyJson = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(null, 0, -1, 1e308, '', [], {}, 'a'))

/** An example with members that are replaced, removed or added. */
function nearly(example: unknown): fc.Arbitrary<unknown> {
  if (typeof example !== 'object' || example === null || Array.isArray(example)) return anyJson
  const names = fc.constantFrom(...Object.keys(example), 'model', 'parameters', 'metadata', 'webhook', 'x')
  return fc.array(fc.tuple(names, fc.option(anyJson, { nil: undefined })), { maxLength: 3 }).map((changes) => {
    return Object.fromEntries<unknown>([...Object.entries(example), ...changes])
  })
}

function bodyOf(operation: Operation): fc.Arbitrary<{ type: string; body: string | undefined }> {
  const [content] = Object.entries(operation.requestBody?.content ?? {})
  const [type, media] = content ?? ['application/json', { example: undefined }]
  if (!operation.requestBody) return fc.constant({ type, body: undefined })
  const json = nearly(media.example).map((value) => JSON.stringify(value) ?? '')
  const form = fc.tuple(fc.constantFrom('purpose', 'file', 'x'), text).map(([name, value]) => {
    return `--x\r\nContent-Disposition: form-data; name="${name}"; filename="a"\r\n\r\n${value}\r\n--x--\r\n`
  })
  const isForm = type.startsWith('multipart')
  const sentType = isForm ? `${type}; boundary=x` : type
  const wrongType = fc.constantFrom('text/plain', 'multipart/form-data', 'application/json; charset=utf-16', '')
  return fc.record({
    type: fc.oneof({ weight: 8, arbitrary: fc.constant(sentType) }, { weight: 1, arbitrary: wrongType }),
    body: isForm
      ? form
      : fc.oneof({ weight: 6, arbitrary: json }, { weight: 1, arbitrary: fc.json() }, { weight: 1, arbitrary: text }),
  })
}

function requestTo(template: string, method: string, operation: Operation): fc.Arbitrary<FuzzedRequest> {
  const parameters = operation.parameters ?? []
  const values = parameters.map(({ example }) =>
    example === undefined
      ? scalar
      : fc.oneof(fc.constant(typeof example === 'string' ? example : JSON.stringify(example)), scalar),
  )
  const query = fc.dictionary(fc.constantFrom('x', 'limit', 'after', 'order', '__proto__'), scalar, { maxKeys: 2 })
  return fc
    .tuple(
      fc.tuple(...values),
      fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
      query,
      headers,
      bodyOf(operation),
    )
    .map(([given, isLeftOut, more, sent, { type, body }]) => {
      let path = template
      const search = new URLSearchParams()
      for (const [index, { name, in: place }] of parameters.entries()) {
        const value = given[index] ?? ''
        if (place === 'path') path = path.replace(`{${name}}`, () => encodeURIComponent(wellFormed(value)) || 'x')
        else if (place === 'query' && isLeftOut[index] !== true) search.append(name, wellFormed(value))
      }
      if (isLeftOut[19] === true)
        for (const [name, value] of Object.entries(more)) search.append(name, wellFormed(value))
      const suffix = search.size > 0 ? `?${search}` : ''
      const withType = body === undefined || type === '' ? sent : { ...sent, 'content-type': type }
      return { method: method.toUpperCase(), template, path: path + suffix, headers: withType, body }
    })
}

/** encodeURIComponent throws for half a surrogate pair. */
function wellFormed(given: string): string {
  return Buffer.from(given).toString()
}

/** Requests to every operation, in any order. */
export function requestsTo(document: OpenApiDocument): fc.Arbitrary<FuzzedRequest> {
  const operations = Object.entries(document.paths ?? {}).flatMap(([template, item]) =>
    METHODS.flatMap((method) => {
      const operation = (item as Record<string, Operation | undefined>)[method]
      return operation ? [requestTo(template, method, operation)] : []
    }),
  )
  return fc.oneof(...operations)
}
