// Routes of uploads in parts, after OpenAI's API.
import * as z from 'zod'
import { type FoundUpload, MAX_PART_BYTES, MAX_PARTS, statusOf } from '../../../batches/files/uploads.ts'
import { invalid, malformed, unavailable } from '../../../errors.ts'
import { requestHash } from '../../../records/idempotency.ts'
import type { JsonLimits } from '../../../validation/json-limits.ts'
import type { Context } from '../../context.ts'
import { readForm } from '../../http/multipart.ts'
import { partId, toUnixSeconds, uploadId, uuidFromId } from '../../http/openai-format.ts'
import type { ApiRequest, Route, RouteReply } from '../../http/route.ts'
import { replayedHeader } from '../answer-headers.ts'
import { route } from '../route.ts'
import { orNull } from '../schema.ts'
import { fileObject, MAX_NAME_CHARS, toFileObject } from './file-view.ts'

const EXAMPLE_UUID = '0190f3f2-7c1e-7000-8000-000000000000'
const idParams = z.object({ id: z.string() })
const example = { params: { id: uploadId(EXAMPLE_UUID) } }

const uploadObject = z
  .object({
    id: z.string(),
    object: z.literal('upload'),
    bytes: z.int(),
    created_at: z.int().describe('Unix seconds, as are all times of this object'),
    expires_at: z.int(),
    filename: z.string(),
    purpose: z.literal('batch'),
    status: z.enum(['pending', 'completed', 'cancelled', 'expired']),
    file: orNull(fileObject).describe('Of a completed upload; null when it was deleted since'),
  })
  .meta({ id: 'FileUpload' })
const partObject = z
  .object({ id: z.string(), object: z.literal('upload.part'), created_at: z.int(), upload_id: z.string() })
  .meta({ id: 'UploadPart' })

const createBody = z
  .strictObject({
    filename: z.string().min(1).max(MAX_NAME_CHARS),
    bytes: z.int().min(1).describe('The size of the whole file; at most MAX_UPLOAD_BYTES'),
    mime_type: z.string().max(255).describe('Has no effect: a file for a batch is JSON Lines'),
    purpose: z.literal('batch', { error: 'must be "batch"' }),
    expires_after: orNull(z.strictObject({ anchor: z.literal('created_at'), seconds: z.int().min(1) }))
      .optional()
      .describe('Retention of the file. Default and maximum: FILE_TTL'),
  })
  .meta({ id: 'CreateUpload' })
const completeBody = z
  .strictObject({
    part_ids: z.array(z.string()).min(1).max(MAX_PARTS).describe('In the order of the file'),
    md5: z
      .string()
      .regex(/^[0-9a-fA-F]{32}$/, { error: 'must be 32 hexadecimal digits' })
      .optional()
      .describe('MD5 of the whole file, which is checked'),
  })
  .meta({ id: 'CompleteUpload' })
const bodyLimits: JsonLimits = {
  depth: 3,
  fields: 16,
  entries: MAX_PARTS,
  values: MAX_PARTS + 100,
  advice: 'use larger parts',
}
const partForm = z.object({ data: z.string().meta({ format: 'binary' }) }).meta({ id: 'UploadPartForm' })
const uploadResponse = { description: 'The upload', schema: uploadObject }
const headers = ['Idempotency-Replayed' as const]

type UploadRequest = ApiRequest<{ id: string }, unknown, unknown>

export const uploadRoutes: Route<Context>[] = [
  route({
    method: 'post',
    path: '/v1/uploads',
    operationId: 'createUpload',
    tag: 'Files',
    summary: 'Begin the upload of a large file in parts; it expires after an hour',
    errors: 'openai',
    body: createBody,
    bodyLimits,
    example: {
      body: { filename: 'requests.jsonl', bytes: 2_147_483, mime_type: 'application/jsonl', purpose: 'batch' },
    },
    requestHeaders: ['Idempotency-Key'],
    responses: { 200: { ...uploadResponse, headers } },
    errorStatuses: [400, 413, 415, 429, 503, 507],
    handler: async ({ uploads, config }, { owner, body, idempotencyKey }) => {
      const { filename, bytes, expires_after: after } = body
      const fileTtl = after ? Math.min(config.fileTtl, after.seconds * 1_000) : config.fileTtl
      const hash = requestHash('/v1/uploads', body)
      const { replayed, ...upload } = await uploads.create(owner, idempotencyKey, { filename, bytes, fileTtl, hash })
      return { status: 200, headers: replayedHeader(replayed), body: toUploadObject(upload) }
    },
  }),
  route({
    method: 'post',
    path: '/v1/uploads/:id/parts',
    operationId: 'addUploadPart',
    tag: 'Files',
    summary: `Add a part of at most ${MAX_PART_BYTES / 1_048_576} MB; in any order, also at the same time`,
    description: 'The same content is the same part, so a repeat has no effect.',
    errors: 'openai',
    params: idParams,
    example,
    form: partForm,
    requestHeaders: ['Idempotency-Key'],
    responses: { 200: { description: 'The part', schema: partObject, headers } },
    errorStatuses: [400, 404, 408, 409, 413, 415, 429, 503, 507],
    handler: addPart,
  }),
  route({
    method: 'post',
    path: '/v1/uploads/:id/complete',
    operationId: 'completeUpload',
    tag: 'Files',
    summary: 'Make a file of the parts; a repeat returns the same file',
    errors: 'openai',
    params: idParams,
    body: completeBody,
    bodyLimits,
    example: { ...example, body: { part_ids: [partId(EXAMPLE_UUID)] } },
    responses: { 200: uploadResponse },
    errorStatuses: [400, 404, 409, 415, 429, 503, 507],
    handler: async (context, request) => {
      const upload = await find(context, request)
      const { part_ids: ids, md5 } = request.body
      // A text that is no id is no part of the upload.
      const parts = ids.map((id) => id.toLowerCase().replace(/^part_/, ''))
      // It reads and writes as much as an upload.
      const release = context.streams.take(request.owner)
      try {
        const completed = await context.uploads.complete(upload, { parts, md5 }, context.drainTimeout.signal)
        return { status: 200, body: toUploadObject(completed) }
      } catch (error) {
        throw context.drainTimeout.signal.aborted ? unavailable('this api stops: repeat the request') : error
      } finally {
        release()
      }
    },
  }),
  route({
    method: 'post',
    path: '/v1/uploads/:id/cancel',
    operationId: 'cancelUpload',
    tag: 'Files',
    summary: 'Cancel an upload; its parts are removed',
    errors: 'openai',
    params: idParams,
    example,
    responses: { 200: uploadResponse },
    errorStatuses: [404, 409, 503],
    handler: async (context, request) => {
      const cancelled = await context.uploads.cancel(await find(context, request))
      return { status: 200, body: toUploadObject(cancelled) }
    },
  }),
]

function find({ uploads }: Context, { owner, params }: Pick<UploadRequest, 'owner' | 'params'>): Promise<FoundUpload> {
  return uploads.find(owner, uuidFromId('upload', params.id))
}

async function addPart(context: Context, request: UploadRequest): Promise<RouteReply> {
  const { uploadBody, idempotencyKey } = request
  if (!uploadBody) throw malformed('the body must be multipart/form-data')
  const upload = await find(context, request)
  const { file } = await readForm(uploadBody, 'data', context.uploads.maxPartBytes(upload), (bytes) =>
    context.uploads.addPart(upload, bytes, idempotencyKey),
  )
  if (!file) throw invalid([{ path: 'data', message: 'is missing, or is no file' }])
  const { part, replayed } = file.stored
  const body: z.infer<typeof partObject> = {
    id: partId(part.uuid),
    object: 'upload.part',
    created_at: toUnixSeconds(part.created_at),
    upload_id: uploadId(upload.id.uuid),
  }
  return { status: 200, headers: replayedHeader(replayed), body }
}

function toUploadObject({ id, record, file }: FoundUpload): z.infer<typeof uploadObject> {
  return {
    id: uploadId(id.uuid),
    object: 'upload',
    bytes: record.bytes,
    created_at: toUnixSeconds(record.created_at),
    expires_at: toUnixSeconds(record.expires_at),
    filename: record.filename,
    purpose: 'batch',
    status: statusOf(record),
    file: file ? toFileObject(file) : null,
  }
}
