// Bytes as lines of UTF-8 text.
// Lines end with LF or CRLF, the last one may have no ending, and a byte order mark at the start is skipped.

export interface TextLine {
  /** The line without its ending. */
  text: string
  /** The offset of the next line from the start of the stream, in bytes. */
  end: number
}

/** The bytes are not lines of UTF-8 text. */
export class InvalidTextError extends Error {
  override name = 'InvalidTextError'
}

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]
/** More than any line that a server accepts; bounds the memory that a file without newlines takes. */
const MAX_LINE_BYTES = 64 * 1_048_576

/** @yields all lines, also empty ones. @throws InvalidTextError for bytes that are not UTF-8, or too long a line. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TextLine> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  // The parts of an incomplete line are joined once, so the cost of a long line stays linear in its length.
  let parts: Uint8Array[] = []
  let pendingBytes = 0
  let end = 0
  const complete = (last: Uint8Array): string => {
    const line = parts.length === 0 ? last : joined([...parts, last])
    parts = []
    pendingBytes = 0
    const isFirst = end === 0
    end += line.length
    return textOf(line, isFirst, decoder, end)
  }
  for await (const part of bytes) {
    let start = 0
    for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, start)) {
      yield { text: complete(part.subarray(start, at + 1)), end }
      start = at + 1
    }
    if (start < part.length) {
      parts.push(part.subarray(start))
      pendingBytes += part.length - start
    }
    if (pendingBytes > MAX_LINE_BYTES) throw new InvalidTextError('a line is longer than 64 MiB; is this a text file?')
  }
  if (pendingBytes > 0) yield { text: complete(new Uint8Array()), end }
}

function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function textOf(line: Uint8Array, isFirst: boolean, decoder: InstanceType<typeof TextDecoder>, end: number): string {
  let [from, to] = [0, line.length]
  if (isFirst && BYTE_ORDER_MARK.every((byte, at) => line[at] === byte)) from = 3
  if (line[to - 1] === NEWLINE) to -= 1
  if (line[to - 1] === CARRIAGE_RETURN && to > from) to -= 1
  try {
    return decoder.decode(line.subarray(from, to))
  } catch {
    throw new InvalidTextError(`not UTF-8 text (in the line that ends at byte ${end})`)
  }
}
