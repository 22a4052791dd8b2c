// Input files that do not come in one request: uploaded in parts, or fetched from a server.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BatchCaller } from './batches.ts'
import { waitFor } from './wait-for.ts'

/** Repeats a request that a busy server refuses. */
const repeated = <T>(caller: BatchCaller, path: string, init: RequestInit & { json?: unknown }) =>
  waitFor(path, () => caller.ask<T>(path, init), { every: 500 }) as Promise<T>

/** Uploads content in parts of so many bytes, the last one first. @returns the id of the file. */
async function uploadInParts(caller: BatchCaller, content: string, partBytes: number): Promise<string> {
  const bytes = Buffer.from(content)
  const upload = await repeated<{ id: string }>(caller, '/v1/uploads', {
    json: { filename: 'input.jsonl', bytes: bytes.length, mime_type: 'application/jsonl', purpose: 'batch' },
  })
  const ids: string[] = []
  for (let start = Math.floor((bytes.length - 1) / partBytes) * partBytes; start >= 0; start -= partBytes) {
    const form = new FormData()
    form.set('data', new Blob([bytes.subarray(start, start + partBytes)]))
    const part = await repeated<{ id: string }>(caller, `/v1/uploads/${upload.id}/parts`, {
      method: 'POST',
      body: form,
    })
    ids.unshift(part.id)
  }
  const { file } = await repeated<{ file: { id: string } }>(caller, `/v1/uploads/${upload.id}/complete`, {
    json: { part_ids: ids },
  })
  return file.id
}

/** A server of one file. */
async function serveFile(content: string): Promise<{ url: string; stop: () => void }> {
  const server = createServer((_request, response) => void response.end(content))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/input.jsonl?signature=secret`,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Runs the same requests from a file in parts and from a URL. @returns the two batches when they have ended. */
export async function runLargeInputs(caller: BatchCaller, content: string) {
  const origin = await serveFile(content)
  try {
    const parts = await uploadInParts(caller, content, Math.ceil(content.length / 3))
    const create = (input: object) => waitFor('a new batch', () => caller.create(input), { every: 500 })
    const batches = [await create({ input_file_id: parts }), await create({ input_url: origin.url })]
    return await Promise.all(batches.map(({ id }) => caller.ended(id, 120_000)))
  } finally {
    origin.stop()
  }
}
