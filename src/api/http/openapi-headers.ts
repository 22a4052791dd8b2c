// The response headers of the OpenAPI document.

const text = { type: 'string' } as const
const seconds = { type: 'integer', minimum: 0 } as const
const count = { type: 'integer', minimum: 0 } as const

export const RESPONSE_HEADERS = {
  'X-Request-Id': { description: 'The id of the request: that of its X-Request-Id, or a generated one', schema: text },
  'Retry-After': { description: 'Seconds after which a repetition is worthwhile', schema: seconds },
  'WWW-Authenticate': { description: 'Bearer', schema: text },
  Location: { description: 'The address of the prediction', schema: { type: 'string', format: 'uri' } },
  'Preference-Applied': { description: 'The preferences of Prefer that were applied (RFC 7240)', schema: text },
  'Idempotency-Replayed': { description: 'true: an earlier request with the same key was answered', schema: text },
  'X-Model': { description: 'The name of the model', schema: text },
  'X-Model-Revision': { description: 'The revision that computed the answer', schema: text },
  'X-Worker': { description: 'The workers that computed the answer', schema: text },
  'X-Cache': { description: 'With CACHE_TTL: hit, miss, or how many of the texts were not computed', schema: text },
  'Server-Timing': { description: 'Milliseconds of queue, tokenize and infer', schema: text },
  'X-Compute-Tokens': { description: 'Tokens of all texts that were computed', schema: count },
  'X-Truncated-Texts': { description: 'Texts that were truncated to the limit of the model', schema: count },
  'X-Should-Retry': { description: "false: OpenAI's clients do not repeat the request", schema: text },
  'Content-Disposition': { description: 'The name of the file', schema: text },
  'Accept-Ranges': { description: 'bytes', schema: text },
  'Content-Range': { description: 'The range of bytes, and the size of the content', schema: text },
} as const

export type HeaderName = keyof typeof RESPONSE_HEADERS

/** The headers of error responses by status, in addition to X-Request-Id. */
export const ERROR_HEADERS: Record<number, HeaderName[]> = {
  401: ['WWW-Authenticate'],
  409: ['X-Should-Retry'],
  416: ['Content-Range'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}
