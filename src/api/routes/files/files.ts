// Routes of files, the input and output of batches, after OpenAI's API.
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { digested } from '../../../batches/files/digested.ts'
import type { FoundFile } from '../../../batches/files/files.ts'
import { AppError, invalid, malformed } from '../../../errors.ts'
import { filesList, isPurpose, readFileRecords } from '../../../records/files.ts'
import { requestHash } from '../../../records/idempotency.ts'
import type { Context } from '../../context.ts'
import { parseRange } from '../../http/headers/range.ts'
import { readForm } from '../../http/multipart.ts'
import { fileId, integerInQuery, listObject, listOf, uuidFromId } from '../../http/openai-format.ts'
import { pageAfter } from '../../http/pagination.ts'
import { type ApiRequest, type Route, Streamed } from '../../http/route.ts'
import { replayedHeader } from '../answer-headers.ts'
import { route } from '../route.ts'
import { fileObject, MAX_NAME_CHARS, toFileObject } from './file-view.ts'

const EXAMPLE_ID = 'file-0190f3f2-7c1e-7000-8000-000000000000'
const idParams = z.object({ id: z.string() })
const example = { params: { id: EXAMPLE_ID } }
/** As OpenAI's API: some clients parse anything whose name has `json` as one JSON text. */
const CONTENT_TYPE = 'application/octet-stream'
const content = z.string().meta({ format: 'binary' })

const DAY = 86_400
const form = z
  .object({
    purpose: z.literal('batch'),
    file: z.string().meta({ format: 'binary' }),
    'expires_after[anchor]': z.literal('created_at').optional(),
    'expires_after[seconds]': z
      .int()
      .min(1)
      .max(9_999_999_999)
      .optional()
      .meta({ example: DAY, description: 'Default and maximum: FILE_TTL' }),
  })
  .meta({ id: 'Upload' })
const listQuery = z.strictObject({
  after: z.string().optional().describe('The last id of the previous page'),
  limit: integerInQuery(1, 100, 10_000),
  order: z.enum(['asc', 'desc']).default('desc'),
  purpose: z.string().max(64).optional().describe('batch or batch_output; for any other purpose there are no files'),
})

export const fileRoutes: Route<Context>[] = [
  route({
    method: 'post',
    path: '/v1/files',
    operationId: 'uploadFile',
    tag: 'Files',
    summary: 'Upload a JSON Lines file, one request per line',
    errors: 'openai',
    form,
    requestHeaders: ['Idempotency-Key'],
    responses: { 200: { description: 'The file', schema: fileObject, headers: ['Idempotency-Replayed'] } },
    errorStatuses: [400, 408, 413, 415, 429, 503, 507],
    handler: async (context, request) => {
      const { replayed, ...file } = await upload(context, request)
      return { status: 200, headers: replayedHeader(replayed), body: toFileObject(file) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/files',
    operationId: 'listFiles',
    tag: 'Files',
    summary: 'List your files, newest first',
    errors: 'openai',
    query: listQuery,
    responses: { 200: { description: 'One page', schema: listOf(fileObject, 'FileList') } },
    errorStatuses: [400, 404, 503],
    handler: async ({ reads }, { owner, query, disconnected }) => {
      const { after, purpose, ...rest } = query
      const find = (uuids: string[]) => readFileRecords(reads, owner, uuids)
      const cursor = after ? uuidFromId('file', after) : undefined
      // Files with any other purpose of OpenAI's do not exist here.
      if (purpose !== undefined && !isPurpose(purpose)) return { status: 200, body: listObject([], false) }
      const list = await filesList(reads, owner, purpose)
      const page = await pageAfter(reads, list, owner, { ...rest, after: cursor, find, disconnected })
      return { status: 200, body: listObject(page.found.map(toFileObject), page.hasMore) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/files/:id',
    operationId: 'getFile',
    tag: 'Files',
    summary: 'Get the metadata of a file',
    errors: 'openai',
    params: idParams,
    example,
    responses: { 200: { description: 'The file', schema: fileObject } },
    errorStatuses: [404, 503],
    handler: async (context, request) => ({ status: 200, body: toFileObject(await find(context, request)) }),
  }),
  route({
    method: 'get',
    path: '/v1/files/:id/content',
    operationId: 'getFileContent',
    tag: 'Files',
    summary: 'Download the content of a file, or a byte range of it',
    errors: 'openai',
    isBinary: true,
    params: idParams,
    requestHeaders: ['Range'],
    example,
    responses: {
      200: {
        description: 'The whole content',
        contentType: CONTENT_TYPE,
        schema: content,
        headers: ['Content-Disposition', 'Accept-Ranges'],
      },
      206: {
        description: 'The range',
        contentType: CONTENT_TYPE,
        schema: content,
        headers: ['Content-Disposition', 'Accept-Ranges', 'Content-Range'],
      },
    },
    errorStatuses: [404, 416, 429, 503],
    handler: async (context, request) => {
      const file = await find(context, request)
      const { bytes, filename } = file.record
      const range = parseRange(request.range, bytes)
      const { start, end } = range ?? { start: 0, end: bytes }
      return {
        status: range ? 206 : 200,
        headers: {
          'Content-Type': CONTENT_TYPE,
          'Content-Length': String(end - start),
          'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`,
          'Accept-Ranges': 'bytes',
          ...(range ? { 'Content-Range': `bytes ${start}-${end - 1}/${bytes}` } : {}),
        },
        body: new Streamed(await context.files.content(file, { start, end })),
      }
    },
  }),
  route({
    method: 'delete',
    path: '/v1/files/:id',
    operationId: 'deleteFile',
    tag: 'Files',
    summary: 'Delete a file; 409 while a batch reads it',
    errors: 'openai',
    params: idParams,
    example,
    responses: {
      200: {
        description: 'Deleted',
        schema: z
          .object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
          .meta({ id: 'DeletedFile' }),
      },
    },
    errorStatuses: [404, 409, 503],
    handler: async (context, request) => {
      const file = await find(context, request)
      await context.files.erase(file)
      return { status: 200, body: { id: fileId(file.id.uuid), object: 'file', deleted: true } }
    },
  }),
]

function find({ files }: Context, { owner, params }: ApiRequest<{ id: string }, unknown, unknown>): Promise<FoundFile> {
  return files.find(owner, uuidFromId('file', params.id))
}

async function upload(
  context: Context,
  { owner, uploadBody, idempotencyKey: key }: ApiRequest<unknown, unknown, unknown>,
): Promise<FoundFile & { replayed: boolean }> {
  const { files, config } = context
  if (!uploadBody) throw malformed('the body must be multipart/form-data')
  const digest = createHash('sha256')
  const { fields, file } = await readForm(uploadBody, 'file', config.maxFileBytes, (bytes) =>
    files.store(owner, digested(bytes, digest)),
  )
  if (!file) throw invalid([{ path: 'file', message: 'is missing' }])
  const { id, bytes } = file.stored
  try {
    const ttl = ttlOf(fields, config.fileTtl)
    if (fields.get('purpose') !== 'batch') throw invalid([{ path: 'purpose', message: 'must be "batch"' }])
    const record = { filename: nameOf(file.name), bytes, ttl }
    if (key === undefined) return { ...(await files.publish(id, record.filename, bytes, ttl)), replayed: false }
    const hash = requestHash('/v1/files', { name: record.filename, ttl, sha256: digest.digest('hex') })
    return await files.publishOnce(id, record, { key, hash })
  } catch (error) {
    // After another error the record may exist: then the bytes are needed, else the sweep removes them.
    if (error instanceof AppError) await files.discard(id)
    throw error
  }
}

/** The name as the client has it: forms of browsers and of Node write a quote and line ends as %22, %0D and %0A. */
function nameOf(given: string): string {
  const name = given.replaceAll('%22', '"').replaceAll(/%0[AD]/g, ' ')
  return name.slice(0, MAX_NAME_CHARS).toWellFormed() || 'file.jsonl'
}

/** OpenAI's `expires_after`, milliseconds, at most `maxTtl`. @throws AppError 422 for another anchor or no positive integer. */
function ttlOf(fields: Map<string, string>, maxTtl: number): number {
  const anchor = fields.get('expires_after[anchor]')
  if (anchor !== undefined && anchor !== 'created_at')
    throw invalid([{ path: 'expires_after[anchor]', message: 'must be "created_at"' }])
  const given = fields.get('expires_after[seconds]')
  if (given === undefined) return maxTtl
  if (/^[1-9]\d{0,9}$/.test(given)) return Math.min(maxTtl, Number(given) * 1_000)
  throw invalid([{ path: 'expires_after[seconds]', message: 'must be a whole number of seconds' }])
}
