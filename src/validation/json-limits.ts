// Limits of a JSON text's structure, checked on its bytes before it is parsed.
// JSON.parse and a schema take up to fifty times as long for a megabyte of brackets as for a megabyte of texts.

/** Numbers of the largest valid body; a text within them is cheap to parse and to check. */
export interface JsonLimits {
  /** Levels of nesting. */
  depth: number
  /** Entries of one list. */
  entries: number
  /** Fields of one object. */
  fields: number
  /** Values of all lists and objects together. */
  values: number
  /** What to do instead, for a caller with too many entries or values. */
  advice: string
}

/** The first place that exceeds a limit. */
export interface JsonExcess {
  path: (string | number)[]
  message: string
}

/** Characters of a field's name in a path. */
export const MAX_NAME_CHARS = 64
/** Longer strings are searched natively for their end, which is slower for short ones. */
const SHORT_STRING_BYTES = 64
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

interface Level {
  isList: boolean
  commas: number
  /** First and last byte of the current field's name, exclusive of its quotes. */
  name: [from: number, to: number]
}

/**
 * Looks at brackets, commas and strings only; whether the text is JSON is not checked.
 * @returns undefined when the text is within the limits.
 */
export function findExcess(bytes: Buffer, limits: JsonLimits): JsonExcess | undefined {
  const levels: Level[] = []
  let level: Level | undefined
  let values = 1
  let text: [number, number] = [0, 0]
  const excess = (message: string, depth: number) => ({ path: pathOf(bytes, levels.slice(0, depth)), message })
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at]) {
      case QUOTE: {
        const end = endOfString(bytes, at + 1)
        text = [at + 1, end]
        at = end
        break
      }
      case COLON:
        if (level) level.name = text
        break
      case COMMA:
        if (!level) break
        level.commas += 1
        values += 1
        if (level.isList && level.commas >= limits.entries)
          return excess(`has more than ${limits.entries} entries; ${limits.advice}`, levels.length - 1)
        if (!level.isList && level.commas >= limits.fields)
          return excess(`has more than ${limits.fields} fields`, levels.length - 1)
        if (values > limits.values) return excess(`has more than ${limits.values} values in all; ${limits.advice}`, 0)
        break
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (levels.length === limits.depth) return excess(`is nested deeper than ${limits.depth} levels`, 0)
        level = { isList: bytes[at] === OPEN_LIST, commas: 0, name: [0, 0] }
        levels.push(level)
        values += 1
        if (values > limits.values) return excess(`has more than ${limits.values} values in all; ${limits.advice}`, 0)
        break
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        levels.pop()
        level = levels.at(-1)
        break
      default:
    }
  }
  return undefined
}

/** The position of the quote that ends a string; the text's length without one. @param from after the first quote. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = from, near = from + SHORT_STRING_BYTES; at < bytes.length; at += 1) {
    if (at >= near) {
      at = bytes.indexOf(QUOTE, at)
      if (at < 0) return bytes.length
      near = at + SHORT_STRING_BYTES
      if (!isEscaped(bytes, from, at)) return at
    } else if (bytes[at] === BACKSLASH) at += 1
    else if (bytes[at] === QUOTE) return at
  }
  return bytes.length
}

function isEscaped(bytes: Buffer, from: number, at: number): boolean {
  let backslashes = 0
  while (at - 1 - backslashes >= from && bytes[at - 1 - backslashes] === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}

function pathOf(bytes: Buffer, levels: Level[]): (string | number)[] {
  return levels.map(({ isList, commas, name: [from, to] }) => (isList ? commas : nameIn(bytes, from, to)))
}

function nameIn(bytes: Buffer, from: number, to: number): string {
  return bytes
    .subarray(from, Math.min(to, from + 4 * MAX_NAME_CHARS))
    .toString()
    .slice(0, MAX_NAME_CHARS)
}

/** The string of a field of the outermost object, without parsing the rest; undefined when there is none. */
export function outermostString(bytes: Buffer, field: string): string | undefined {
  let depth = 0
  let [text, name]: [string | undefined, string | undefined] = [undefined, undefined]
  for (let at = 0; at < bytes.length; at += 1) {
    switch (bytes[at]) {
      case QUOTE: {
        const end = endOfString(bytes, at + 1)
        if (depth === 1 && name === field) return parsedString(bytes.subarray(at, end + 1))
        text = depth === 1 ? nameIn(bytes, at + 1, end) : undefined
        at = end
        break
      }
      case COLON:
        if (depth === 1) name = text
        break
      case COMMA:
        if (depth === 1) name = undefined
        break
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth += 1
        break
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth -= 1
        break
      default:
    }
  }
  return undefined
}

function parsedString(bytes: Buffer): string | undefined {
  try {
    return JSON.parse(bytes.toString()) as string
  } catch {
    return undefined
  }
}
