// HTTP client for files and batches.
import { waitFor } from './wait-for.ts'

export interface Batch {
  id: string
  status: string
  errors: { data: { code: string; line: number | null; param: string | null }[] } | null
  input_file_id: string
  output_file_id: string | null
  error_file_id: string | null
  request_counts: { total: number; completed: number; failed: number }
  metadata: Record<string, string> | null
  [time: `${string}_at`]: number | null
}

export interface OutputRow {
  id: string
  custom_id: string
  response: { status_code: number; request_id: string; body: unknown } | null
  error: { code: string; message: string } | null
}

/** One request as a line of an input file. */
export function line(id: string, body: unknown, more: object = {}): string {
  return `${JSON.stringify({ custom_id: id, method: 'POST', url: '/predict', body, ...more })}\n`
}

/** `count` requests with different texts. */
export function lines(
  count: number,
  text = (index: number) => `The boy number ${index} is sitting on a bench`,
): string {
  return Array.from({ length: count }, (_, index) => line(`row-${index}`, { inputs: text(index) })).join('')
}

export class BatchCaller {
  readonly #url: string
  readonly #key: string | undefined

  constructor(url: string, key?: string) {
    this.#url = url
    this.#key = key
  }

  call(path: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
    const { json, headers, ...rest } = init
    return fetch(path.startsWith('http') ? path : this.#url + path, {
      method: json === undefined ? 'GET' : 'POST',
      ...rest,
      headers: {
        ...(this.#key === undefined ? {} : { Authorization: `Bearer ${this.#key}` }),
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(headers as Record<string, string> | undefined),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
  }

  /** @throws Error with the body of any answer but 200. */
  async ask<T = Batch>(path: string, init: RequestInit & { json?: unknown } = {}): Promise<T> {
    const response = await this.call(path, init)
    if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as T
  }

  upload(content: string | Buffer, fields: Record<string, string> = { purpose: 'batch' }): Promise<Response> {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    form.set('file', new Blob([Buffer.from(content)]), 'input.jsonl')
    return this.call('/v1/files', { method: 'POST', body: form })
  }

  /** Uploads a file and creates a batch from it. */
  async run(content: string | Buffer, more: object = {}): Promise<Batch> {
    const { id } = (await (await this.upload(content)).json()) as { id: string }
    return this.create({ input_file_id: id, ...more })
  }

  create(body: object, headers: Record<string, string> = {}): Promise<Batch> {
    const json = { endpoint: '/predict', completion_window: '24h', ...body }
    return this.ask('/v1/batches', { json, headers })
  }

  get(id: string): Promise<Batch> {
    return this.ask(`/v1/batches/${id}`)
  }

  ended(id: string, within?: number): Promise<Batch> {
    const isEnd = ['completed', 'failed', 'expired', 'cancelled']
    const fact = async () => {
      const batch = await this.get(id)
      return isEnd.includes(batch.status) && batch
    }
    return waitFor(`batch ${id} to end`, fact, { ...(within === undefined ? {} : { within }), every: 50 })
  }

  /** The rows of an output or error file. */
  async rows(file: string | null): Promise<OutputRow[]> {
    if (file === null) return []
    const response = await this.call(`/v1/files/${file}/content`)
    if (response.status !== 200) throw new Error(`the content of ${file} answered ${response.status}`)
    return parsed(await response.text())
  }

  /** The rows so far; with `?follow=1` until the batch ends. */
  async results(id: string, query = ''): Promise<OutputRow[]> {
    const response = await this.call(`/v1/batches/${id}/results${query}`)
    if (response.status !== 200) throw new Error(`the results answered ${response.status}`)
    return parsed(await response.text())
  }
}

export function parsed(text: string): OutputRow[] {
  return text.split('\n').flatMap((each) => (each ? [JSON.parse(each) as OutputRow] : []))
}

/** Every `each`-th request is invalid. Long texts leave time to inject a fault while the batch runs. */
export function mixedLines(count: number, words: number, each = 50): string {
  const text = (index: number) => `${index} ${'many words '.repeat(words / 2)}`
  return Array.from({ length: count }, (_, index) =>
    line(`row-${index}`, { inputs: index % each === 7 ? 7 : text(index) }),
  ).join('')
}

/** Faults in the output of `mixedLines`; empty when every line has exactly one row, in order. */
export async function faultsIn(caller: BatchCaller, batch: Batch, count: number, each = 50): Promise<string[]> {
  const expected = Array.from({ length: count }, (_, index) => `row-${index}`)
  const isBad = (id: string) => Number(id.slice('row-'.length)) % each === 7
  const [output, errors] = [await caller.rows(batch.output_file_id), await caller.rows(batch.error_file_id)]
  const results = await caller.results(batch.id)
  const ids = (rows: OutputRow[]) => rows.map(({ custom_id }) => custom_id)
  const { total, completed, failed } = batch.request_counts
  const facts: [string, boolean][] = [
    [`the batch is ${batch.status}`, batch.status === 'completed'],
    ['results differ from the input, or from its order', ids(results).join() === expected.join()],
    ['a row is duplicated', new Set([...ids(output), ...ids(errors)]).size === output.length + errors.length],
    ['rows are missing', output.length + errors.length === count],
    ['counts are wrong', total === count && completed === output.length && failed === errors.length],
    [
      `${errors.filter(({ custom_id: id }) => !isBad(id)).length} good rows are errors`,
      errors.every(({ custom_id: id }) => isBad(id)),
    ],
    ['bad rows were answered', !ids(output).some(isBad)],
  ]
  return facts.flatMap(([fault, holds]) => (holds ? [] : [fault]))
}
