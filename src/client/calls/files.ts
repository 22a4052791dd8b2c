// Files: inputs and outputs of batches.
import type { Http } from '../http/http.ts'
import { allOf } from '../http/pages.ts'
import { pathSegment } from '../http/path-segment.ts'
import { randomKey } from '../http/random-key.ts'
import type { FileObject, Page } from '../types.ts'

export interface FileUpload {
  filename: string
  /** A Blob, also in browsers; or a function that yields the bytes, called again for every retry of the upload. */
  content: Blob | (() => AsyncIterable<Uint8Array>)
  /** A second upload with the same key and content returns the same file. */
  idempotencyKey?: string
  signal?: AbortSignal | undefined
}

export class FileCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** Uploads an input file for a batch as a stream, so the size is not limited by memory. */
  create({ filename, content, idempotencyKey, signal }: FileUpload): Promise<FileObject> {
    const headers = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }
    const isRepeatable = idempotencyKey !== undefined
    if (content instanceof Blob) {
      const form = new FormData()
      form.set('purpose', 'batch')
      form.set('file', content, filename)
      return this.#http.json('POST', '/v1/files', { form, headers, isRepeatable, signal })
    }
    const boundary = `inferq-${randomKey()}`
    return this.#http.json('POST', '/v1/files', {
      stream: () => multipart(boundary, filename, content()),
      headers: { ...headers, 'Content-Type': `multipart/form-data; boundary=${boundary}` },
      isRepeatable,
      signal,
    })
  }

  get(id: string, signal?: AbortSignal): Promise<FileObject> {
    return this.#http.json('GET', pathOf(id), { signal })
  }

  /** @returns a page, the newest first; `last_id` is the `after` of the next one. */
  list(query: { after?: string; limit?: number } = {}, signal?: AbortSignal): Promise<Page<FileObject>> {
    return this.#http.json('GET', '/v1/files', { query, signal })
  }

  /** @yields all files, the newest first, page after page. */
  all({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<FileObject, void> {
    return allOf((after) => this.list(after === undefined ? {} : { after }, signal))
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
