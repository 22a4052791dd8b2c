// Parses a request body as UTF-8 JSON of limited structure.
import { invalid, malformed } from '../../errors.ts'
import { pathText } from '../../validation/check.ts'
import { findExcess, type JsonLimits } from '../../validation/json-limits.ts'

/** @throws AppError 400 for a body that is not UTF-8 JSON or is a scalar, 422 for a list or over the limits. */
export function parseJson(bytes: Buffer, limits: JsonLimits): unknown {
  if (bytes.length === 0) throw malformed('the body is empty')
  const excess = findExcess(bytes, limits)
  if (excess) throw invalid([{ path: pathText(excess.path), message: excess.message }])
  const value = parse(decode(bytes))
  if (typeof value !== 'object' || value === null) throw malformed('the body must be a JSON object')
  if (Array.isArray(value)) throw invalid([{ path: '', message: 'the body must be a JSON object, not a list' }])
  return value
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw malformed('the body is not UTF-8')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('the body is not JSON')
  }
}
