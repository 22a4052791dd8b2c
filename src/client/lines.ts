// Bytes as lines of text: UTF-8 only, LF or CRLF, a byte order mark passed over, with or without a final newline.

export interface TextLine {
  /** Without its ending. */
  text: string
  /** Bytes from the beginning of the stream to the beginning of the next line. */
  end: number
}

/** Text that cannot be read as what it is said to be. */
export class InvalidTextError extends Error {
  override name = 'InvalidTextError'
}

const NEWLINE = 0x0a
const RETURN = 0x0d
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
/** Far more than any text that a server takes; without a limit a file that has no lines would fill the memory. */
const LONGEST_LINE = 64 * 1_048_576

/** @yields every line, empty ones too. @throws Unreadable when the bytes are not UTF-8, or have no lines. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TextLine> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  // Parts of a line whose end has not come yet; joined once, so that a long line costs no more than its length.
  let parts: Buffer[] = []
  let held = 0
  let end = 0
  const take = (last: Buffer): string => {
    const line = parts.length === 0 ? last : Buffer.concat([...parts, last])
    parts = []
    held = 0
    const isFirst = end === 0
    end += line.length
    return textOf(line, isFirst, decoder, end)
  }
  for await (const part of bytes) {
    const buffer = Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    let start = 0
    for (let at = buffer.indexOf(NEWLINE); at >= 0; at = buffer.indexOf(NEWLINE, start)) {
      yield { text: take(buffer.subarray(start, at + 1)), end }
      start = at + 1
    }
    if (start < buffer.length) {
      parts.push(buffer.subarray(start))
      held += buffer.length - start
    }
    if (held > LONGEST_LINE) throw new InvalidTextError('a line is longer than 64 MB; is this a text file?')
  }
  if (held > 0) yield { text: take(Buffer.alloc(0)), end }
}

function textOf(line: Buffer, isFirst: boolean, decoder: InstanceType<typeof TextDecoder>, end: number): string {
  let [from, to] = [0, line.length]
  if (isFirst && line.subarray(0, 3).equals(BYTE_ORDER_MARK)) from = 3
  if (line[to - 1] === NEWLINE) to -= 1
  if (line[to - 1] === RETURN && to > from) to -= 1
  try {
    return decoder.decode(line.subarray(from, to))
  } catch {
    throw new InvalidTextError(`not UTF-8 text (in the line that ends at byte ${end})`)
  }
}
