// Checks values against zod schemas and reports problems with their paths.
import type * as z from 'zod'
import { AppError, invalid, MAX_PROBLEMS, type Problem } from '../errors.ts'
import { MAX_NAME_CHARS } from './json-limits.ts'
import { messageOfIssue } from './messages.ts'
import { similarField } from './suggestions.ts'

type Issue = z.core.$ZodIssue

/**
 * @returns the value, checked.
 * @throws AppError 422 that lists the first problems with their paths, never with a value.
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  /** The schemas of objects with unknown fields, by the list of these fields. */
  const objects = new WeakMap<string[], z.core.$ZodType>()
  const parsed = schema.safeParse(value, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys' && issue.inst) objects.set(issue.keys, issue.inst as z.core.$ZodType)
      return messageOfIssue(issue)
    },
  })
  if (parsed.success) return parsed.data
  const problems: Problem[] = []
  for (const issue of parsed.error.issues) {
    for (const problem of problemsOf(issue, [], objects)) {
      if (problems.push(problem) > MAX_PROBLEMS) throw refusal(problems)
    }
  }
  throw refusal(problems)
}

/**
 * Checks a body of JSON: a null of a field counts as absent, as clients send it for an unset option.
 * @throws AppError 422, as `checked`; also for a field named `__proto__`, which objects cannot hold.
 */
export function checkedBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const forbidden = removeNulls(body, [])
  if (forbidden) throw invalid([{ path: pathText(forbidden), message: 'is not allowed as the name of a field' }])
  return checked(schema, body)
}

/** @returns the path of a field named `__proto__`, if there is one. */
function removeNulls(value: unknown, path: PropertyKey[]): PropertyKey[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value)
  for (const [key, inner] of entries) {
    if (key === '__proto__') return [...path, key]
    if (inner === null) {
      if (!Array.isArray(value)) Reflect.deleteProperty(value, key)
    } else if (typeof inner === 'object') {
      const forbidden = removeNulls(inner, [...path, key])
      if (forbidden) return forbidden
    }
  }
  return undefined
}

function refusal(problems: Problem[]): AppError {
  const error = invalid(problems)
  const isEmpty = problems.every(({ message }) => message === 'is empty')
  return isEmpty ? new AppError('Empty', 422, error.message, { members: error.members }) : error
}

function* problemsOf(
  issue: Issue,
  base: PropertyKey[],
  objects: WeakMap<string[], z.core.$ZodType>,
): Generator<Problem> {
  const path = [...base, ...issue.path]
  const closest = issue.code === 'invalid_union' ? closestBranch(issue.errors) : undefined
  if (closest) {
    for (const inner of closest) yield* problemsOf(inner, path, objects)
  } else if (issue.code === 'unrecognized_keys') {
    const schema = objects.get(issue.keys)
    for (const key of issue.keys) {
      const name = key.slice(0, MAX_NAME_CHARS)
      const meant = schema && similarField(schema, name)
      const message = `is not a known field${meant === undefined ? '' : `; did you mean ${meant}?`}`
      yield { path: pathText([...path, name]), message }
    }
  } else if (issue.code === 'invalid_key') {
    yield { path: pathText(path), message: `has a name that ${issue.issues[0]?.message ?? issue.message}` }
  } else yield { path: pathText(path), message: issue.message }
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
export function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const name = String(key).slice(0, MAX_NAME_CHARS)
    return text ? `${text}.${name}` : name
  }, '')
}
