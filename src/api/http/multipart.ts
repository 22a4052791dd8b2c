// Reads a multipart/form-data body as it comes: the file goes into the store, whole or not at all.
import type { Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { AppError, invalid, malformed } from '../../errors.ts'
import { ClientDisconnectedError } from './deadline.ts'
import type { UploadBody } from './route.ts'

export interface Form<Stored> {
  fields: Map<string, string>
  /** undefined: there was no file. */
  file: { name: string; stored: Stored } | undefined
}

const LIMITS = { files: 1, fields: 20, fieldSize: 1_024, fieldNameSize: 100, parts: 30 }

/**
 * @param store gets the bytes of the field `file`; what it throws is thrown.
 * @throws AppError 400, 408, 413, 415.
 */
export async function readForm<Stored>(
  { contentType, stream, stalled }: UploadBody,
  maxBytes: number,
  store: (content: AsyncIterable<Buffer>) => Promise<Stored>,
): Promise<Form<Stored>> {
  const parser = parserFor(contentType, maxBytes)
  const fields = new Map<string, string>()
  let name = ''
  let upload: Readable | undefined
  let storing: Promise<Stored> | undefined
  const parsed = new Promise<void>((resolve, reject) => {
    parser.on('field', (field, value) => fields.set(field, value))
    parser.on('file', (field, file, filename: string | undefined) => {
      if (field !== 'file' || storing) return void file.resume()
      name = filename ?? ''
      // A form may break before the store reads its first byte: whoever reads then is told.
      file.on('error', () => undefined)
      upload = file
      storing = store(wholeFile(file, maxBytes))
      storing.catch(reject)
    })
    parser.on('finish', resolve)
    parser.on('error', (error: unknown) => reject(error instanceof AppError ? error : malformed('the form is broken')))
    stream.on('close', () => stream.readableEnded || reject(new ClientDisconnectedError()))
    stalled.addEventListener('abort', () => reject(stalled.reason as Error), { once: true })
  })
  stream.pipe(parser)
  try {
    await parsed
    return { fields, file: storing && { name, stored: await storing } }
  } catch (error) {
    // What still comes is dropped, so that the answer finds a connection; what is half stored is removed first.
    stream.unpipe(parser)
    stream.resume()
    parser.destroy(error as Error)
    // The parser leaves a file open that it has not read to its end.
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
    throw malformed('the form has no boundary')
  }
}

/** @throws AppError 413 when it is cut off at the limit, 422 when there is nothing in it. */
async function* wholeFile(file: Readable & { truncated?: boolean }, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const piece of file) {
    bytes += (piece as Buffer).length
    if (file.truncated) throw tooLarge(maxBytes)
    yield piece as Buffer
  }
  if (file.truncated) throw tooLarge(maxBytes)
  if (bytes === 0) throw invalid([{ path: 'file', message: 'is empty' }])
}

function tooLarge(maxBytes: number): AppError {
  return new AppError('TooLarge', 413, `the file has more than ${maxBytes} bytes`, { headers: { Connection: 'close' } })
}
