// Parses one line of a batch's input file.
import { isUtf8 } from 'node:buffer'
import { type AppError, invalid } from '../../errors.ts'
import { pathText } from '../../validation/check.ts'
import { findExcess, type JsonExcess, type JsonLimits, outermostString } from '../../validation/json-limits.ts'
import type { InputLine } from './jsonl.ts'

/** A request of a batch; its body is not validated yet, or is the error of one with too many values. */
export interface LineRequest {
  customId: string
  body: unknown
}

/** A problem of an input file, with which the batch fails. */
export interface LineProblem {
  code: string
  message: string
  param: string | null
  line: number | null
}

const MAX_ID_CHARS = 512
/** C0 and C1 controls are rejected because ids are copied into logs and files. */
// oxlint-disable-next-line no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/

/**
 * A line that exceeds the limits is not parsed: it is a request whose body is the error.
 * @param endpoint of the batch, for example `/predict`. @param limits of a body.
 */
export function readRequest(
  { number, bytes }: InputLine,
  endpoint: string,
  limits: JsonLimits,
): LineRequest | LineProblem {
  const problem = (code: string, message: string, param: string | null = null) => ({
    code,
    message,
    param,
    line: number,
  })
  if (!bytes) return problem('line_too_long', 'This line is over the size limit of a request.')
  if (!isUtf8(bytes)) return problem('invalid_encoding', 'This line is not UTF-8.')
  // The body is one level below the line, which has three more fields.
  const excess = findExcess(bytes, { ...limits, depth: limits.depth + 1, values: limits.values + 4 })
  const value = excess ? unparsed(bytes) : parse(bytes.toString())
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return problem('invalid_json_line', 'This line is not a JSON object.')
  }
  const { custom_id: id, method, url, body } = value as Record<string, unknown>
  if (id === undefined) return problem('missing_custom_id', 'This line has no custom_id.', 'custom_id')
  if (typeof id !== 'string')
    return problem('invalid_custom_id', 'The custom_id of this line is not a string.', 'custom_id')
  if (id.length === 0 || id.length > MAX_ID_CHARS || CONTROL_CHARACTER.test(id) || !id.isWellFormed()) {
    const message = `A custom_id has 1 to ${MAX_ID_CHARS} characters, no control characters and no lone surrogates.`
    return problem('invalid_custom_id', message, 'custom_id')
  }
  if (method !== undefined && method !== 'POST') {
    return problem('invalid_method', 'The method of this line is not POST.', 'method')
  }
  if (url !== undefined && url !== endpoint) {
    return problem('mismatched_url', `The url of this line is not ${endpoint}, the endpoint of the batch.`, 'url')
  }
  return { customId: id, body: excess ? refusal(excess) : body }
}

/** What is needed of a line that is not parsed; undefined when it is no object. */
function unparsed(bytes: Buffer): unknown {
  return /^\s*\{/.test(bytes.toString('latin1', 0, 100))
    ? { custom_id: outermostString(bytes, 'custom_id') }
    : undefined
}

function refusal({ path, message }: JsonExcess): AppError {
  return invalid([{ path: pathText(path[0] === 'body' ? path.slice(1) : path), message }])
}

export function isProblem(read: LineRequest | LineProblem): read is LineProblem {
  return 'code' in read
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
