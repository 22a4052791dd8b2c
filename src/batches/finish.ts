// How a batch ends: its output and error file, and the last word in its record.
import type { Redis } from 'ioredis'
import type { Logger } from '../logger.ts'
import { type BatchEnd, type BatchRecord, endBatch, writeProgress } from '../records/batches.ts'
import { expireStored } from '../records/expirations.ts'
import { removeFileReader, writeFileRecord } from '../records/files.ts'
import { uuidFromKey } from '../records/idempotency.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'
import { partsName, type Section, type Totals } from './output/parts.ts'
import type { RetryStorage } from './retry-storage.ts'

export interface FinishOptions {
  redis: Redis
  /** Milliseconds that a batch is kept after its end. */
  batchTtl: number
  logger: Logger
  /** A batch has ended: called once, unless the process dies at that moment. */
  onEnd: (id: OwnedId) => void
}

/** The code of what is wrong with a batch that could not be run, whatever its input. */
export const GIVEN_UP = 'internal_error'

type EndFields = Parameters<typeof endBatch>[2]

/** Every row is written: makes the files, and closes the batch. Again is harmless. */
export async function finishBatch(
  options: FinishOptions,
  id: OwnedId,
  record: BatchRecord,
  end: BatchEnd,
  { completed, failed, outputBytes, errorBytes }: Totals,
  retry: RetryStorage,
): Promise<void> {
  const { redis } = options
  const now = Date.now()
  const expiresAt = now + record.output_ttl
  const makeFile = async (section: Section, bytes: number) => {
    const uuid = uuidFromKey(id.owner, `${id.uuid} ${section}`)
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
  const output = completed > 0 ? await makeFile('output', outputBytes) : undefined
  const error = failed > 0 ? await makeFile('errors', errorBytes) : undefined
  await retry.command(() => expireStored(redis, partsName(keyIdOf(id)), expiresAt))
  const files = { ...(output === undefined ? {} : { output }), ...(error === undefined ? {} : { error }) }
  await closeBatch(options, id, record, { end, ended_at: Date.now(), completed, failed, ...files }, retry)
}

/** Lets go of the input file, and writes how it ended. */
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
  logger.info({ batch: id.uuid, end, completed, failed }, 'a batch has ended')
  onEnd(id)
}

/** Ends a batch that cannot be run as failed; the rows that are written can still be read. */
export async function failBatch({ redis, batchTtl, onEnd }: FinishOptions, id: OwnedId): Promise<void> {
  const problem = { code: GIVEN_UP, message: 'This batch could not be run.', param: null, line: null }
  const fields = { end: 'failed' as const, ended_at: Date.now(), errors: JSON.stringify([problem]) }
  await expireStored(redis, partsName(keyIdOf(id)), fields.ended_at + batchTtl)
  if (await endBatch(redis, id, fields, batchTtl)) onEnd(id)
}
