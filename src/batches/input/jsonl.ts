// Splits a stream of bytes into lines with constant memory.
// Any line ending is accepted; the bytes of a line over the limit are dropped as they arrive.

export interface InputLine {
  /** Counts from 1 and includes blank lines. */
  number: number
  /** The line without its ending; undefined: over the limit. */
  bytes: Buffer | undefined
  /** The offset of the next line, in bytes from the start of the file. */
  next: number
}

/** The start of a line. */
export interface LinePosition {
  /** Bytes from the start of the file. */
  offset: number
  /** Lines before this one. */
  lines: number
}

export const FILE_START: LinePosition = { offset: 0, lines: 0 }

const NEWLINE = 10
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Yields the lines that are not blank, those of one piece of the source at a time. Lines have no byte order mark and no
 * carriage return at the end; the last one needs no newline.
 * @param source the bytes from `from.offset` on. @param maxBytes limit of one line.
 */
export async function* readLines(
  source: AsyncIterable<Buffer>,
  maxBytes: number,
  from: LinePosition = FILE_START,
): AsyncGenerator<InputLine[]> {
  let { offset, lines } = from
  /** The start of a line that continues in the next piece. */
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
