// Files: inputs and outputs of batches.
import type { Http } from './http.ts'
import { pathSegment } from './path-segment.ts'
import type { FileObject, Page } from './types.ts'

export interface Upload {
  filename: string
  /** A Blob, also in browsers; or a function that yields the bytes, called again for every retry of the upload. */
  content: Blob | (() => AsyncIterable<Uint8Array>)
  signal?: AbortSignal | undefined
}

export class FileCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** Uploads an input file for a batch as a stream, so the size is not limited by memory. */
  create({ filename, content, signal }: Upload): Promise<FileObject> {
    if (content instanceof Blob) {
      const form = new FormData()
      form.set('purpose', 'batch')
      form.set('file', content, filename)
      return this.#http.json('POST', '/v1/files', { form, signal })
    }
    const boundary = `inferq-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
    return this.#http.json('POST', '/v1/files', {
      stream: () => multipart(boundary, filename, content()),
      headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` },
      signal,
    })
  }

  get(id: string, signal?: AbortSignal): Promise<FileObject> {
    return this.#http.json('GET', pathOf(id), { signal })
  }

  list(query: { after?: string; limit?: number } = {}): Promise<Page<FileObject>> {
    return this.#http.json('GET', '/v1/files', { query })
  }

  /** @returns a response whose `body` streams the file. */
  content(id: string, signal?: AbortSignal): Promise<Response> {
    return this.#http.send('GET', `${pathOf(id)}/content`, { signal })
  }

  delete(id: string): Promise<{ id: string; deleted: boolean }> {
    return this.#http.json('DELETE', pathOf(id))
  }
}

function pathOf(id: string): string {
  return `/v1/files/${pathSegment(id)}`
}

/** FormData needs the size before the upload, and generated content has none. */
async function* multipart(
  boundary: string,
  filename: string,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const name = filename.replace(/["\\\r\n]/g, '_')
  const encoder = new TextEncoder()
  yield encoder.encode(
    `--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
      'Content-Type: application/jsonl\r\n\r\n',
  )
  yield* content
  yield encoder.encode(`\r\n--${boundary}--\r\n`)
}
