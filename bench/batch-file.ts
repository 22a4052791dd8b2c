// Client calls of one batch: upload, create, wait, download.
import { setTimeout as delay } from 'node:timers/promises'

/** Short enough for the figure, long enough to cause no load. */
const POLL_MS = 100

interface Batch {
  id: string
  status: string
  output_file_id: string | null
  request_counts: { completed: number; failed: number }
}

/** One request per text, as JSONL lines. */
export function* linesOf(texts: Iterable<string>): Generator<string> {
  let row = 0
  for (const inputs of texts) {
    yield `${JSON.stringify({ custom_id: `row-${(row += 1)}`, method: 'POST', url: '/predict', body: { inputs } })}\n`
  }
}

/** Uploads a file of lines; resolves with its id. */
export async function upload(url: string, lines: Iterable<string>, key?: string): Promise<string> {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([...pieces(lines)]), 'bench.jsonl')
  return (
    await json<{ id: string }>(await fetch(`${url}/v1/files`, { method: 'POST', headers: withKey(key), body: form }))
  ).id
}

export async function create(url: string, file: string, key?: string): Promise<string> {
  const body = JSON.stringify({ input_file_id: file, endpoint: '/predict', completion_window: '24h' })
  const headers = { 'Content-Type': 'application/json', ...withKey(key) }
  return (await json<Batch>(await fetch(`${url}/v1/batches`, { method: 'POST', headers, body }))).id
}

/** Resolves when every row is answered. @throws when the batch ends otherwise, or a row failed. */
export async function completed(url: string, batch: string, signal: AbortSignal, key?: string): Promise<Batch> {
  for (;;) {
    const found = await json<Batch>(await fetch(`${url}/v1/batches/${batch}`, { headers: withKey(key) }))
    if (found.status === 'completed' && found.request_counts.failed === 0) return found
    if (!['validating', 'in_progress', 'finalizing'].includes(found.status)) {
      throw new Error(`the batch is ${found.status}, with ${found.request_counts.failed} failed rows`)
    }
    await delay(POLL_MS, undefined, { signal })
  }
}

/** Downloads the output file; resolves with its size in bytes. */
export async function download(url: string, { output_file_id }: Batch): Promise<number> {
  const response = await fetch(`${url}/v1/files/${output_file_id}/content`)
  let bytes = 0
  for await (const piece of response.body ?? []) bytes += (piece as Uint8Array).length
  return bytes
}

export async function cancel(url: string, batch: string, key?: string): Promise<void> {
  await fetch(`${url}/v1/batches/${batch}/cancel`, { method: 'POST', headers: withKey(key) })
}

/** Joins lines into larger pieces: a million strings are too many parts for a Blob. */
function* pieces(lines: Iterable<string>): Generator<Uint8Array<ArrayBuffer>> {
  let some: string[] = []
  for (const line of lines) {
    if (some.push(line) < 10_000) continue
    yield new TextEncoder().encode(some.join(''))
    some = []
  }
  yield new TextEncoder().encode(some.join(''))
}

async function json<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

export function withKey(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { Authorization: `Bearer ${key}` }
}
