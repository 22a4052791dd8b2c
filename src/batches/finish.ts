// Ends a batch: publishes its output and error file and closes its record.
import type { Redis } from 'ioredis'
import type { Logger } from '../logger.ts'
import { type BatchEnd, type BatchRecord, endBatch, readBatch, writeProgress } from '../records/batches.ts'
import { expireStored } from '../records/expirations.ts'
import { removeFileReader, writeFileRecord } from '../records/files.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'
import type { LineProblem } from './input/input-line.ts'
import { partsName, type Section, sectionUuid, type Totals } from './output/parts.ts'
import type { RetryStorage } from './retry-storage.ts'

export interface FinishOptions {
  redis: Redis
  /** Milliseconds that a batch is kept after its end. */
  batchTtl: number
  logger: Logger
  /** Called once when a batch has ended, unless the process dies at that moment. */
  onEnd: (id: OwnedId) => void
}

/** The problem code of a batch that could not be run for a reason other than its input. */
export const INTERNAL_ERROR_CODE = 'internal_error'

/** How a batch ends. */
export interface BatchEnding {
  end: BatchEnd
  /** The rows from this one on have no line in the error file, because the file store was full. */
  rest?: { from: number; code: string; message: string }
}

type EndFields = Parameters<typeof endBatch>[2]

/** Publishes the files of a batch whose rows are all written, but for the rest, and closes it. Repeating it is harmless. */
export async function finishBatch(
  options: FinishOptions,
  id: OwnedId,
  record: BatchRecord,
  { end, rest }: BatchEnding,
  { completed, failed, outputBytes, errorBytes }: Totals,
  retry: RetryStorage,
): Promise<void> {
  const { redis } = options
  const unwritten = rest && (await restOf(redis, id, rest, retry))
  const now = Date.now()
  const expiresAt = now + record.output_ttl
  const publishFile = async (section: Section, bytes: number) => {
    const uuid = sectionUuid(id, section)
    const fields = {
      filename: `batch_${id.uuid}_${section}.jsonl`,
      bytes,
      purpose: 'batch_output' as const,
      created_at: now,
      expires_at: expiresAt,
      batch: keyIdOf(id),
      section,
    }
    await retry.command(() => writeFileRecord(redis, { owner: id.owner, uuid }, fields))
    return uuid
  }
  const progress = { stage: 'finalizing' as const, finalizing_at: now, completed, failed }
  await retry.command(() => writeProgress(redis, id, progress))
  const output = completed > 0 ? await publishFile('output', outputBytes) : undefined
  const error = failed > 0 ? await publishFile('errors', errorBytes) : undefined
  await retry.command(() => expireStored(redis, partsName(keyIdOf(id)), expiresAt))
  const files = { ...(output === undefined ? {} : { output }), ...(error === undefined ? {} : { error }) }
  const counts = { completed, failed: failed + (unwritten?.rows ?? 0) }
  const fields = { end, ended_at: Date.now(), ...counts, ...files, ...unwritten?.fields }
  await closeBatch(options, id, record, fields, retry)
}

/** The number of rows that are not written, and the fields of the record that stand for them. */
async function restOf(
  redis: Redis,
  id: OwnedId,
  { from, code, message }: NonNullable<BatchEnding['rest']>,
  retry: RetryStorage,
): Promise<{ rows: number; fields: Pick<BatchRecord, 'unwritten_from' | 'errors'> }> {
  const total = (await retry.command(() => readBatch(redis, id)))?.total ?? from
  const reason = 'The file store was full, so no request from this line on has a line in the error file.'
  const problem: LineProblem = { code, message: `${message} ${reason}`, param: null, line: from + 1 }
  return { rows: total - from, fields: { unwritten_from: from, errors: JSON.stringify([problem]) } }
}

/** Releases the input file and writes the end into the record. */
export async function closeBatch(
  { redis, batchTtl, logger, onEnd }: FinishOptions,
  id: OwnedId,
  { input }: BatchRecord,
  fields: EndFields,
  retry: RetryStorage,
): Promise<void> {
  await retry.command(() => removeFileReader(redis, { owner: id.owner, uuid: input }, keyIdOf(id)))
  if (!(await retry.command(() => endBatch(redis, id, fields, batchTtl)))) return
  const { end, completed, failed } = fields
  logger.info({ batch: id.uuid, end, completed, failed }, 'batch ended')
  onEnd(id)
}

/** Ends a batch that cannot be run as failed; its written rows stay readable. */
export async function failBatch({ redis, batchTtl, onEnd }: FinishOptions, id: OwnedId): Promise<void> {
  const problem = { code: INTERNAL_ERROR_CODE, message: 'This batch could not be run.', param: null, line: null }
  const fields = { end: 'failed' as const, ended_at: Date.now(), errors: JSON.stringify([problem]) }
  await expireStored(redis, partsName(keyIdOf(id)), fields.ended_at + batchTtl)
  if (await endBatch(redis, id, fields, batchTtl)) onEnd(id)
}
