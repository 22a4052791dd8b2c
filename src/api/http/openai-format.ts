// Errors, lists, ids and times in the format of OpenAI's API, for the routes of files, uploads and batches.
import * as z from 'zod'
import { type AppError, codeOf, notFound, type Problem } from '../../errors.ts'
import { isUuid } from '../../records/ids.ts'

/** The schema of OpenAI's error body, for the OpenAPI document. */
export const openAiErrorDocument = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.union([z.string(), z.null()]),
      code: z.union([z.string(), z.null()]),
      earliest_completion: z.int().optional().describe('With deadline_unreachable: the earliest end, in Unix seconds'),
    }),
  })
  .meta({ id: 'OpenAIError' })

interface ErrorMembers {
  errors?: Partial<Problem>[]
  code?: string
  earliest_completion?: string
}

export function openAiError(error: AppError): z.infer<typeof openAiErrorDocument> {
  const { errors = [], code, earliest_completion: earliest } = error.members as ErrorMembers
  return {
    error: {
      message: error.message,
      type: typeOf(error),
      param: errors[0]?.path || null,
      code: code ?? codeOf(error.type),
      ...(earliest === undefined ? {} : { earliest_completion: toUnixSeconds(Date.parse(earliest)) + 1 }),
    },
  }
}

/** Its clients expect 400 for an invalid request, and have an error class for it. */
export function openAiStatus({ status }: AppError): number {
  return status === 422 ? 400 : status
}

function typeOf({ status }: AppError): string {
  if (status === 401) return 'authentication_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** A whole number in a query; the OpenAPI document would show the coercion as a number or null. */
export function integerInQuery(minimum: number, fallback: number, maximum = Number.MAX_SAFE_INTEGER) {
  return z.coerce
    .number()
    .int()
    .min(minimum)
    .max(maximum)
    .default(fallback)
    .meta({ type: 'integer', minimum, maximum, default: fallback })
}

/** The schema of a page. */
export function listOf(item: z.ZodType, id: string) {
  const idOrNull = z.union([z.string(), z.null()])
  return z
    .object({
      object: z.literal('list'),
      data: z.array(item),
      first_id: idOrNull,
      last_id: idOrNull,
      has_more: z.boolean(),
    })
    .meta({ id })
}

/** One page of a list, in OpenAI's format. @param data objects with their public ids. */
export function listObject(data: { id: string }[], hasMore: boolean) {
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: hasMore }
}

/** Public ids: `file-UUID`, `batch_UUID` and so on; records have the UUID alone. */
export const fileId = (uuid: string) => `file-${uuid}`
export const batchId = (uuid: string) => `batch_${uuid}`
export const uploadId = (uuid: string) => `upload_${uuid}`
export const partId = (uuid: string) => `part_${uuid}`

/** The UUID in a public id of that kind, in any case. @throws AppError 404 for any other text, since no record can have that id. */
export function uuidFromId(kind: 'file' | 'batch' | 'upload', id: string): string {
  const canonical = id.toLowerCase()
  const [prefix, uuid] = [canonical.slice(0, kind.length + 1), canonical.slice(kind.length + 1)]
  if ((prefix === `${kind}-` || prefix === `${kind}_`) && isUuid(uuid)) return uuid
  throw notFound(`no such ${kind}`)
}

/** Whole Unix seconds, as OpenAI's API expresses times; null when the time is not set. */
export function toUnixSeconds(epochMs: number): number
export function toUnixSeconds(epochMs: number | undefined): number | null
export function toUnixSeconds(epochMs: number | undefined): number | null {
  return epochMs === undefined ? null : Math.floor(epochMs / 1_000)
}
