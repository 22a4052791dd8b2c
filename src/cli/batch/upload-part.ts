// Uploads a part of the input and creates its batch.
import type { Inferq } from '../../client/client.ts'
import { InferqError } from '../../client/errors.ts'
import type { SentPart } from './files/state.ts'
import type { Layout } from './input/input-rows.ts'
import type { Source } from './input/source.ts'
import { type PlanPart, requestBytes } from './plan.ts'

export interface UploadPartOptions {
  inferq: Inferq
  source: Source
  layout: Layout
  /** The name of the file on the server. */
  filename: string
  completeBy?: Date | undefined
  signal: AbortSignal
  /** Saves what the server has of a part; the next step starts only afterwards. */
  saveSent: (part: number, sent: SentPart) => Promise<void>
}

/** @param sent what an earlier attempt completed. @returns the id of the batch. */
export async function uploadPart(
  at: number,
  part: PlanPart,
  sent: SentPart | undefined,
  options: UploadPartOptions,
): Promise<string> {
  if (sent?.batchId !== undefined) return sent.batchId
  const { inferq, source, layout, completeBy, signal, saveSent } = options
  const upload = async () => {
    const content = () => requestBytes(source, layout, part)
    const file = await inferq.files.create({ filename: options.filename, content, signal })
    await saveSent(at, { fileId: file.id })
    return file.id
  }
  // The file's id is the idempotency key, so a run that ended between the two requests finds the batch it created.
  // A key belongs to one body, and a duration such as 5h is another time in each run.
  const deadline = completeBy === undefined ? '' : `-${completeBy.getTime()}`
  const create = async (fileId: string) => {
    const batch = await inferq.batches.create({
      inputFileId: fileId,
      endpoint: layout.endpoint,
      ...(completeBy === undefined ? {} : { completeBy }),
      idempotencyKey: `cli-${fileId}${deadline}`,
      signal,
    })
    await saveSent(at, { fileId, batchId: batch.id })
    return batch.id
  }
  if (!sent) return create(await upload())
  try {
    return await create(sent.fileId)
  } catch (error) {
    if (!isNotFound(error)) throw error
    return create(await upload())
  }
}

/** Whether a file or batch no longer exists: it expired, or the server's data was deleted. */
export function isNotFound(error: unknown): boolean {
  return error instanceof InferqError && (error.status === 404 || error.status === 410)
}
