// Streams a multipart/form-data body into the file store.
// An incomplete file is never stored: its stream fails instead of ending.
import type { Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { AppError, invalid, malformed } from '../../errors.ts'
import { ClientDisconnectedError } from './deadline.ts'
import type { UploadBody } from './route.ts'

export interface Form<Stored> {
  fields: Map<string, string>
  /** undefined when the body has no file. */
  file: { name: string; stored: Stored } | undefined
}

const LIMITS = { files: 1, fields: 20, fieldSize: 1_024, fieldNameSize: 100, parts: 30 }

/**
 * @param field the field with the file.
 * @param store receives its bytes; its errors are thrown.
 * @throws AppError 400 for a malformed body, 408 when the upload stalls, 413 for a too large file, 415 for another
 * content type, 422 for an empty file; ClientDisconnectedError when the client disconnects.
 */
export async function readForm<Stored>(
  { contentType, stream, stalled }: UploadBody,
  field: string,
  maxBytes: number,
  store: (content: AsyncIterable<Buffer>) => Promise<Stored>,
): Promise<Form<Stored>> {
  const parser = parserFor(contentType, maxBytes)
  const fields = new Map<string, string>()
  let name = ''
  let upload: Readable | undefined
  let storing: Promise<Stored> | undefined
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on('field', (other, value) => fields.set(other, value))
    parser.on('file', (other, file, filename: string | undefined) => {
      if (other !== field || storing) return void file.resume()
      name = filename ?? ''
      // The parser may fail before the store reads its first byte; the later read rejects with this error.
      file.on('error', () => undefined)
      upload = file
      storing = store(completeFile(file, field, maxBytes))
      storing.catch(reject)
    })
    parser.on('finish', resolve)
    parser.on('error', (error: unknown) =>
      reject(error instanceof AppError ? error : malformed('malformed multipart body')),
    )
    stream.on('close', () => stream.readableEnded || reject(new ClientDisconnectedError()))
    stalled.addEventListener('abort', () => reject(stalled.reason as Error), { once: true })
  })
  stream.pipe(parser)
  try {
    await parsed
    return { fields, file: storing && { name, stored: await storing } }
  } catch (error) {
    // The rest of the body is discarded, so that the response can be sent; a partial file is removed before it is sent.
    stream.unpipe(parser)
    stream.resume()
    parser.destroy(error as Error)
    // The parser does not close a file that it has not read to the end.
    upload?.destroy(error as Error)
    await storing?.catch(() => undefined)
    throw error
  }
}

function parserFor(contentType: string, maxBytes: number): BusboyInstance {
  if (!/^multipart\/form-data\s*;/i.test(contentType)) {
    throw new AppError('Validation', 415, 'the body must be multipart/form-data')
  }
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits: { ...LIMITS, fileSize: maxBytes } })
  } catch {
    throw malformed('the multipart body has no boundary')
  }
}

/** Yields the file's bytes. @throws AppError 413 when the parser cuts the file at the limit, 422 when it is empty. */
async function* completeFile(
  file: Readable & { truncated?: boolean },
  field: string,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of file) {
    bytes += (chunk as Buffer).length
    if (file.truncated) throw tooLarge(maxBytes)
    yield chunk as Buffer
  }
  if (file.truncated) throw tooLarge(maxBytes)
  if (bytes === 0) throw invalid([{ path: field, message: 'is empty' }])
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('TooLarge', 413, `the file is larger than ${maxBytes} bytes`, {
    headers: { Connection: 'close' },
  })
}
