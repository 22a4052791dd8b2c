// Converts a batch record to OpenAI's batch object.

import type { FoundBatch } from '../../batches/batch.ts'
import { publicUrlOf } from '../../batches/files/fetched-inputs.ts'
import type { LineProblem } from '../../batches/input/input-line.ts'
import type { BatchRecord } from '../../records/batches.ts'
import { batchId, fileId, toUnixSeconds } from '../http/openai-format.ts'
import type { BatchObject } from './schema.ts'

export function toBatchObject({ id, record }: FoundBatch): BatchObject {
  const at = (end: BatchRecord['end']) => (record.end === end ? toUnixSeconds(record.ended_at) : null)
  const errors = record.errors === undefined ? undefined : (JSON.parse(record.errors) as LineProblem[])
  return {
    id: batchId(id.uuid),
    object: 'batch',
    endpoint: record.endpoint,
    errors: errors ? { object: 'list', data: errors } : null,
    input_file_id: fileId(record.input),
    ...(record.input_url === undefined ? {} : { input_url: publicUrlOf(record.input_url) }),
    completion_window: record.window,
    status: statusOf(record),
    output_file_id: record.output === undefined ? null : fileId(record.output),
    error_file_id: record.error === undefined ? null : fileId(record.error),
    created_at: toUnixSeconds(record.created_at),
    in_progress_at: toUnixSeconds(record.in_progress_at),
    expires_at: toUnixSeconds(record.expires_at),
    complete_by: toUnixSeconds(record.complete_by),
    finalizing_at: toUnixSeconds(record.finalizing_at),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: toUnixSeconds(record.cancelling_at),
    cancelled_at: at('cancelled'),
    request_counts: { total: record.total, completed: record.completed, failed: record.failed },
    metadata: JSON.parse(record.metadata) as Record<string, string> | null,
  }
}

function statusOf({ end, cancelling_at, stage }: BatchRecord): BatchObject['status'] {
  if (end !== undefined) return end
  return cancelling_at === undefined ? stage : 'cancelling'
}
