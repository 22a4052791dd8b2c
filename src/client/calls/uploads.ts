// Uploads in parts: input files that are too large for one request.
import type { Http } from '../http/http.ts'
import { pathSegment } from '../http/path-segment.ts'
import { randomKey } from '../http/random-key.ts'
import type { FileObject } from '../types.ts'

export interface LargeUpload {
  filename: string
  /** A Blob, in browsers from an input, in Node from `openAsBlob`. */
  content: Blob
  /** Bytes of a part; 64 MB, which is also the most, by default. */
  partBytes?: number
  signal?: AbortSignal | undefined
  /** Called after each part with the bytes that are uploaded. */
  onProgress?: (bytes: number) => void
}

interface Upload {
  id: string
  file: FileObject | null
}

const MAX_PART_BYTES = 64 * 1_048_576
const CONCURRENT_PARTS = 4

export class UploadCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** Uploads a file in parts, some at the same time. An upload that fails is cancelled. @returns the file. */
  async create(upload: LargeUpload): Promise<FileObject> {
    const { filename, content, signal } = upload
    const { id } = await this.#http.json<Upload>('POST', '/v1/uploads', {
      body: { filename, bytes: content.size, mime_type: 'application/jsonl', purpose: 'batch' },
      headers: { 'Idempotency-Key': randomKey() },
      isRepeatable: true,
      signal,
    })
    const path = `/v1/uploads/${pathSegment(id)}`
    try {
      const parts = await this.#addParts(path, upload)
      const body = { part_ids: parts }
      const { file } = await this.#http.json<Upload>('POST', `${path}/complete`, { body, isRepeatable: true, signal })
      return file as FileObject
    } catch (error) {
      await this.#http.json('POST', `${path}/cancel`, { isRepeatable: true }).catch(() => undefined)
      throw error
    }
  }

  /** @returns the ids of the parts in the order of the file. */
  async #addParts(path: string, { content, signal, onProgress, ...rest }: LargeUpload): Promise<string[]> {
    const partBytes = Math.min(MAX_PART_BYTES, rest.partBytes ?? MAX_PART_BYTES)
    const starts = Array.from({ length: Math.ceil(content.size / partBytes) }, (_, index) => index * partBytes)
    const ids: string[] = []
    const failed = new AbortController()
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal
    let uploaded = 0
    const addRest = async () => {
      for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
        const piece = content.slice(start, start + partBytes)
        const form = new FormData()
        form.set('data', piece, 'part')
        // The same content is the same part, so a repeat does no harm.
        const options = { form, isRepeatable: true, signal: either }
        const { id } = await this.#http.json<{ id: string }>('POST', `${path}/parts`, options)
        ids[start / partBytes] = id
        uploaded += piece.size
        onProgress?.(uploaded)
      }
    }
    const workers = Array.from({ length: CONCURRENT_PARTS }, addRest)
    await Promise.all(workers).catch(async (error: unknown) => {
      failed.abort(error)
      await Promise.allSettled(workers)
      throw error
    })
    return ids
  }
}
