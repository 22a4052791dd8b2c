// Parses the Range header (RFC 9110, section 14) of a single byte range.
import { AppError } from '../../../errors.ts'

/** Bytes from `start`, inclusive, to `end`, exclusive. */
interface ByteRange {
  start: number
  end: number
}

/**
 * @param bytes size of the content.
 * @returns the requested bytes; undefined (all bytes) without a header, or for one that is not a single byte range.
 * @throws AppError 416 when the range has no bytes of the content.
 */
export function parseRange(header: string | undefined, bytes: number): ByteRange | undefined {
  const match = /^bytes\s*=\s*(\d*)-(\d*)$/.exec(header ?? '')
  const [first, last] = [match?.[1] ?? '', match?.[2] ?? '']
  if (first === '' && last === '') return undefined
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start < end) return { start, end }
  throw new AppError('Validation', 416, `range not satisfiable: the content has ${bytes} bytes`, {
    headers: { 'Content-Range': `bytes */${bytes}` },
  })
}
