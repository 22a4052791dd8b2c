// Problem documents (RFC 9457) with two members of Text Embeddings Inference.
// With `error` and `error_type` one body suits plain HTTP clients and those of TEI, Hugging Face and Replicate.
import { STATUS_CODES } from 'node:http'
import * as z from 'zod'
import { AppError, ERROR_TYPES, type ErrorType } from '../../errors.ts'
import { isRedisUnavailable, toServiceUnavailable } from '../../redis/errors.ts'

export interface ProblemDocument extends Record<string, unknown> {
  type: string
  title: string
  status: number
  detail: string
  instance: string
  request_id: string
  error: string
  error_type: ErrorType
}

/** @param instance the requested path without its query, which may contain a user's text. */
export function problemOf(error: AppError, instance: string, requestId: string): ProblemDocument {
  return {
    type: 'about:blank',
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    instance,
    request_id: requestId,
    error: error.message,
    error_type: error.type,
    ...error.members,
  }
}

/** Converts any thrown value to an AppError; an unknown error becomes a 500 without details. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isRedisUnavailable(error)) return toServiceUnavailable(error)
  const status = statusOf(error)
  if (status === 413)
    return new AppError('TooLarge', 413, 'the body is too large', { headers: { Connection: 'close' } })
  if (status === 415) return new AppError('Validation', 415, 'unsupported content encoding')
  if (status !== undefined && status >= 400 && status < 500) {
    return new AppError('Validation', 400, 'malformed request')
  }
  return new AppError('Backend', 500, 'internal error', { cause: error })
}

function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/** The schema of a problem document, for the OpenAPI document. */
export const problemDocument = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    request_id: z.string(),
    error: z.string(),
    error_type: z.enum(ERROR_TYPES),
    errors: z
      .array(z.object({ path: z.string().optional(), index: z.int().optional(), message: z.string() }))
      .optional(),
    code: z.enum(['deadline_unreachable']).optional().describe('What was refused, where error_type does not say it'),
    earliest_completion: z.iso.datetime().optional().describe('With deadline_unreachable: the earliest end, estimated'),
  })
  .meta({ id: 'Problem' })
