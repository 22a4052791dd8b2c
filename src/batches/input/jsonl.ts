// A stream of bytes as lines, whatever their endings, with flat memory: a line that is too long is dropped as it comes.

export interface InputLine {
  /** Counts from 1, blank lines too. */
  number: number
  /** Without its ending; undefined: it is too long. */
  bytes: Buffer | undefined
  /** Where the next line begins, in bytes from the beginning of the file. */
  next: number
}

/** Where to begin: a line's first byte, and how many lines are before it. */
export interface LinePosition {
  offset: number
  lines: number
}

export const BEGINNING: LinePosition = { offset: 0, lines: 0 }

const NEWLINE = 10
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * The lines that are not blank, some at a time. A byte order mark at the beginning, carriage returns at ends, and a
 * missing last newline are no part of any line.
 * @param source the bytes from `from.offset` on. @param maxBytes of one line.
 */
export async function* readLines(
  source: AsyncIterable<Buffer>,
  maxBytes: number,
  from: LinePosition = BEGINNING,
): AsyncGenerator<InputLine[]> {
  let { offset, lines } = from
  /** The beginning of a line whose end has not come. */
  let carried: Buffer[] = []
  let carriedBytes = 0
  const take = (tail: Buffer, next: number): InputLine | undefined => {
    lines += 1
    const long = carriedBytes + tail.length > maxBytes + 1
    const whole = long ? undefined : trimmed(carried.length === 0 ? tail : Buffer.concat([...carried, tail]), lines)
    carried = []
    carriedBytes = 0
    if (whole !== undefined && isBlank(whole)) return undefined
    return { number: lines, bytes: whole && whole.length <= maxBytes ? whole : undefined, next }
  }
  for await (const piece of source) {
    const found: InputLine[] = []
    let begin = 0
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, begin)) {
      const line = take(piece.subarray(begin, end), offset + end + 1)
      if (line) found.push(line)
      begin = end + 1
    }
    offset += piece.length
    if (begin < piece.length) {
      carriedBytes += piece.length - begin
      if (carriedBytes <= maxBytes + 1) carried.push(piece.subarray(begin))
      else carried = []
    }
    if (found.length > 0) yield found
  }
  const last = carriedBytes > 0 ? take(Buffer.alloc(0), offset) : undefined
  if (last) yield [last]
}

function trimmed(bytes: Buffer, number: number): Buffer {
  const start = number === 1 && bytes.subarray(0, 3).equals(BOM) ? 3 : 0
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length
  return bytes.subarray(start, Math.max(start, end))
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 32 || (byte >= 9 && byte <= 13))
}
