// Streams of lines from the server.
import { call } from '../../api.js'
import { linesOf } from '../input/rows.js'

/**
 * The lines of an answer as they arrive; blank ones, which keep the connection open, are skipped.
 * @param {string} path
 * @param {{signal: AbortSignal, maxBytes?: number}} options more bytes than `maxBytes` are not read
 * @returns {AsyncGenerator<string>}
 * @throws ApiError; TypeError when the connection breaks.
 */
export async function* streamLines(path, { signal, maxBytes = Number.POSITIVE_INFINITY }) {
  const response = await call(path, { signal })
  if (response.body) yield* linesOf(piecesOf(response.body, maxBytes))
}

/** @param {ReadableStream<Uint8Array>} body @param {number} maxBytes @returns {AsyncGenerator<string>} */
async function* piecesOf(body, maxBytes) {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let read = 0
  try {
    while (read < maxBytes) {
      const { done, value } = await reader.read()
      if (done) break
      read += value.length
      yield decoder.decode(value, { stream: true })
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
