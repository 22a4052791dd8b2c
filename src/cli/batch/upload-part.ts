// Gives a part of the input to the server: the file, then the batch that reads it.
import type { Inferq } from '../../client/client.ts'
import { InferqError } from '../../client/errors.ts'
import { type PlanPart, requestBytes } from './plan.ts'
import type { Layout } from './input-rows.ts'
import type { Source } from './source.ts'
import type { SentPart } from './state.ts'

export interface UploadPartOptions {
  inferq: Inferq
  source: Source
  layout: Layout
  /** What the file is called on the server. */
  filename: string
  signal: AbortSignal
  /** Keeps what was done, before anything else is. */
  keep: (part: number, sent: SentPart) => Promise<void>
}

/** @param sent what an earlier run has done of it. @returns the batch's id. */
export async function uploadPart(
  at: number,
  part: PlanPart,
  sent: SentPart | undefined,
  options: UploadPartOptions,
): Promise<string> {
  if (sent?.batchId !== undefined) return sent.batchId
  const { inferq, source, layout, signal, keep } = options
  const upload = async () => {
    const content = () => requestBytes(source, layout, part)
    const file = await inferq.files.create({ filename: options.filename, content, signal })
    await keep(at, { fileId: file.id })
    return file.id
  }
  // The file's id is the key: a run that ended between the two calls finds the batch that it has made.
  const create = async (fileId: string) => {
    const batch = await inferq.batches.create({
      inputFileId: fileId,
      endpoint: layout.endpoint,
      idempotencyKey: `cli-${fileId}`,
      signal,
    })
    await keep(at, { fileId, batchId: batch.id })
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

/** The server does not know it any more: it expired, or the server's data was deleted. */
export function isNotFound(error: unknown): boolean {
  return error instanceof InferqError && (error.status === 404 || error.status === 410)
}
