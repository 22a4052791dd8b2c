// Errors as callers see them: problem documents (RFC 9457) with Text Embeddings Inference's two members, so that one
// body serves plain HTTP clients and those of TEI, Hugging Face and Replicate.
import { STATUS_CODES } from 'node:http'
import { isRedisAway } from '../../redis/connection.ts'
import { asUnavailable } from '../../queue/producer.ts'
import { z } from '../zod.ts'
import { AppError, type ErrorType, type Problem, invalid } from '../../errors.ts'

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

/** @param instance the path that was asked for, without its query: that may hold a text. */
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

/** What the HTTP framework threw, or anything unknown, as an AppError: unknown becomes a 500 that tells nothing. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isRedisAway(error)) return asUnavailable(error)
  const status = statusOf(error)
  if (status === 413)
    return new AppError('TooLarge', 413, 'the body is over the limit', { headers: { Connection: 'close' } })
  if (status === 415) return new AppError('Validation', 415, 'this content encoding is not understood')
  if (status !== undefined && status >= 400 && status < 500) {
    return new AppError('Validation', 400, 'the request cannot be read')
  }
  return new AppError('Backend', 500, 'internal error', { cause: error })
}

function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/**
 * @returns the value, checked.
 * @throws AppError 422 that lists every problem with its path; the values themselves are never repeated.
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue, []))
  const empty = problems.every(({ message }) => message === 'is empty')
  throw empty ? asEmpty(invalid(problems)) : invalid(problems)
}

function asEmpty(error: AppError): AppError {
  return new AppError('Empty', 422, error.message, { members: error.members })
}

type Issue = z.core.$ZodIssue

function problemsOf(issue: Issue, base: PropertyKey[]): Problem[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'invalid_union') {
    const closest = closestBranch(issue.errors)
    if (closest) return closest.flatMap((inner) => problemsOf(inner, path))
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: pathText([...path, key.slice(0, 64)]), message: 'is not a known field' }))
  }
  return [{ path: pathText(path), message: issue.message }]
}

/** Of a union's branches the one that fits the type of the value: its problems lie within, not at the value itself. */
function closestBranch(branches: Issue[][]): Issue[] | undefined {
  return branches.find((issues) => issues.length > 0 && !issues.some(isWrongType))
}

function isWrongType(issue: Issue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union') return closestBranch(issue.errors) === undefined
  return issue.code === 'invalid_type'
}

/** `['inputs', 3, 'text']` as `inputs[3].text`. */
function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text ? `${text}.${String(key)}` : String(key)
  }, '')
}
