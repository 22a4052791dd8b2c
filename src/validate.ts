// Checks values against zod schemas and reports every problem with its path.
import type * as z from 'zod'
import { AppError, invalid, type Problem } from './errors.ts'

type Issue = z.core.$ZodIssue

/**
 * @returns the value, checked.
 * @throws AppError 422 that lists every problem with its path, never with a value.
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value, { error: messageOfIssue })
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue, []))
  const empty = problems.every(({ message }) => message === 'is empty')
  throw empty ? asEmpty(invalid(problems)) : invalid(problems)
}

/** The message for a value of the wrong type; undefined: the schema's own message. */
function messageOfIssue({ code, input, expected }: z.core.$ZodRawIssue): string | undefined {
  if (code !== 'invalid_type') return undefined
  return input === undefined ? 'is missing' : `must be of type ${String(expected)}`
}

function asEmpty(error: AppError): AppError {
  return new AppError('Empty', 422, error.message, { members: error.members })
}

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

/** The branch of a union that fits the type of the value: its problems are inside the value. */
function closestBranch(branches: Issue[][]): Issue[] | undefined {
  return branches.find((issues) => issues.length > 0 && !issues.some(isWrongType))
}

function isWrongType(issue: Issue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union') return closestBranch(issue.errors) === undefined
  return issue.code === 'invalid_type'
}

/** Formats `['inputs', 3, 'text']` as `inputs[3].text`. */
function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text ? `${text}.${String(key)}` : String(key)
  }, '')
}
