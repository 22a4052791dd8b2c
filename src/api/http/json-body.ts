// Parses a request body as UTF-8 JSON of limited depth.
import { invalid, malformed } from '../../errors.ts'

/** Levels of nesting; no valid body has more. */
const MAX_DEPTH = 16

/** @throws AppError 400 for a body that is not UTF-8 JSON or is a scalar, 422 for a list or for too deep nesting. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw malformed('the body is empty')
  const value = parse(decode(bytes))
  if (typeof value !== 'object' || value === null) throw malformed('the body must be a JSON object')
  if (Array.isArray(value)) throw invalid([{ path: '', message: 'the body must be a JSON object, not a list' }])
  if (isDeeperThan(value, MAX_DEPTH)) throw invalid([{ path: '', message: `nested deeper than ${MAX_DEPTH} levels` }])
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

function isDeeperThan(value: object, levels: number): boolean {
  let layer: object[] = [value]
  for (let level = 0; layer.length > 0; level += 1) {
    if (level === levels) return true
    layer = layer.flatMap((each) =>
      Object.values(each).filter((inner): inner is object => typeof inner === 'object' && inner !== null),
    )
  }
  return false
}
