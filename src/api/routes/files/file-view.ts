// Converts a file record to OpenAI's file object.
import * as z from 'zod'
import type { FoundFile } from '../../../batches/files/files.ts'
import { fileId, toUnixSeconds } from '../../http/openai-format.ts'

/** Longer names are cut, or refused. */
export const MAX_NAME_CHARS = 512

export const fileObject = z
  .object({
    id: z.string(),
    object: z.literal('file'),
    bytes: z.int(),
    created_at: z.int().describe('Unix seconds, as are all times of this object'),
    expires_at: z.int(),
    filename: z.string(),
    purpose: z.enum(['batch', 'batch_output']),
    status: z.literal('processed'),
  })
  .meta({ id: 'File' })

export function toFileObject({ id, record }: FoundFile): z.infer<typeof fileObject> {
  return {
    id: fileId(id.uuid),
    object: 'file',
    bytes: record.bytes,
    created_at: toUnixSeconds(record.created_at),
    expires_at: toUnixSeconds(record.expires_at),
    filename: record.filename,
    purpose: record.purpose,
    status: 'processed',
  }
}
