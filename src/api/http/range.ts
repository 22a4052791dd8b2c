// The Range header (RFC 9110, section 14), as far as it is one range of bytes.
import { AppError } from '../../errors.ts'

/** Bytes from `start` on, up to but not including `end`. */
interface ByteRange {
  start: number
  end: number
}

/**
 * @returns the bytes that are asked for; undefined: all of them, also where the header is not understood.
 * @throws AppError 416 when there are none of them.
 */
export function parseRange(header: string | undefined, bytes: number): ByteRange | undefined {
  const match = /^bytes\s*=\s*(\d*)-(\d*)$/.exec(header ?? '')
  const [first, last] = [match?.[1] ?? '', match?.[2] ?? '']
  if (first === '' && last === '') return undefined
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start < end) return { start, end }
  throw new AppError('Validation', 416, `the content has ${bytes} bytes`, {
    headers: { 'Content-Range': `bytes */${bytes}` },
  })
}
