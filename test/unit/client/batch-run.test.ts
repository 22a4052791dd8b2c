// batches.run against a stand-in of the routes of files and batches.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { BatchError } from '../../../src/client/errors.ts'
import { type AnsweringServer, bodyOf, json, startAnswers } from '../../helpers/answers.ts'
import { collect } from '../../helpers/collect.ts'
import { waitFor } from '../../helpers/wait-for.ts'

interface StandIn {
  inferq: Inferq
  requests: string[]
  /** The texts of each uploaded file. */
  uploads: string[][]
}

interface Behavior {
  limits?: Record<string, number>
  status?: string
  /** Writes the results of a file from a line on. */
  sendResults?: (response: ServerResponse, lines: string[], after: number) => void
}

const sendAll = (response: ServerResponse, lines: string[], after: number) => response.end(lines.slice(after).join(''))
let running: AnsweringServer | undefined
afterEach(() => running?.stop())

async function startStandIn(behavior: Behavior = {}): Promise<StandIn> {
  const { limits = {}, status = 'completed', sendResults = sendAll } = behavior
  const uploads: string[][] = []
  const batchOf = (id: string) => ({ id, status, output_file_id: `${id}-out`, error_file_id: null, errors: null })
  const answer = async (request: IncomingMessage): Promise<object> => {
    const { url = '', method } = request
    const text = await bodyOf(request)
    if (url === '/info') return { limits }
    if (url === '/v1/files') {
      const lines = text.split(/\r?\n/).filter((line) => line.startsWith('{'))
      const parsed = lines.map((line) => JSON.parse(line) as { custom_id: string; body: { inputs: [string] } })
      if (new Set(parsed.map(({ custom_id: id }) => id)).size < parsed.length) return { id: 'file-with-repeated-ids' }
      uploads.push(parsed.map(({ body }) => body.inputs[0]))
      return { id: `file-${uploads.length - 1}` }
    }
    if (url === '/v1/batches' && method === 'POST') {
      return batchOf((JSON.parse(text) as { input_file_id: string }).input_file_id.replace('file', 'batch'))
    }
    return batchOf(/batch-\d+/.exec(url)?.[0] ?? 'none')
  }
  running = await startAnswers(async (request, response) => {
    const { url = '' } = request
    if (!url.includes('/results')) return json(200, await answer(request))(request, response)
    const { pathname, searchParams } = new URL(url, 'http://host')
    const texts = uploads[Number(/batch-(\d+)/.exec(pathname)?.[1])] ?? []
    const lines = texts.map((text) => `${JSON.stringify(resultOf(text))}\n`)
    sendResults(response.writeHead(200), lines, Number(searchParams.get('after')))
  })
  return { inferq: new Inferq({ url: running.url }), requests: running.requests, uploads }
}

function resultOf(text: string) {
  const body = [[{ label: text, score: 1 }]]
  return { custom_id: '', error: null, response: { status_code: 200, body } }
}

const labelsOf = async (rows: AsyncIterable<{ result: unknown }>) =>
  (await collect(rows)).map(({ result }) => (result as { label: string }[])[0]?.label)

it('yields items with their results in order, from several batches, and deletes the files', async () => {
  const { inferq, uploads, requests } = await startStandIn()
  const items = ['a', 'b', 'c', 'd', 'e'].map((text) => ({ text }))
  const rows = await collect(inferq.batches.run(items, { inputOf: ({ text }) => text, rowsPerBatch: 2 }))
  expect(rows.map(({ index, item, result }) => [index, item, result])).toEqual(
    items.map((item, index) => [index, item, [{ label: item.text, score: 1 }]]),
  )
  expect(uploads).toEqual([['a', 'b'], ['c', 'd'], ['e']])
  const deleted = requests.filter((each) => each.startsWith('DELETE')).sort()
  expect(deleted).toEqual(
    ['batch-0-out', 'batch-1-out', 'batch-2-out', 'file-0', 'file-1', 'file-2'].map((id) => `DELETE /v1/files/${id}`),
  )
})

it('uses the limits of the server', async () => {
  const limits = { max_batch_lines: 4, max_file_bytes: 100, max_body_bytes: 61 }
  const { inferq, uploads } = await startStandIn({ limits })
  const [long, half] = ['x'.repeat(60), 'y'.repeat(20)]
  const rows = await collect(inferq.batches.run([half, 'a', 'b', long, 'c', 'd', 'e']))
  expect(rows[3]?.result).toEqual({ error: expect.stringContaining('over the server') })
  expect(uploads).toEqual([[half], ['a', 'b'], ['c', 'd'], ['e']])
})

it('reads further items only as results are consumed', async () => {
  const { inferq } = await startStandIn()
  let read = 0
  function* items() {
    for (; ; read += 1) yield `text ${read}`
  }
  const rows = inferq.batches.run(items(), { rowsPerBatch: 10 })
  await rows.next()
  await new Promise((resolve) => setTimeout(resolve, 300))
  // One batch is consumed, and one is prepared.
  expect(read).toBeLessThanOrEqual(20)
  await rows.return()
})

it('cancels unfinished batches, and ends the iterator, when the loop ends early', async () => {
  const { inferq, requests } = await startStandIn()
  let isClosed = false
  async function* items() {
    try {
      for (;;) yield 'a'
    } finally {
      isClosed = true
    }
  }
  for await (const { index } of inferq.batches.run(items(), { rowsPerBatch: 3 })) if (index === 1) break
  expect(requests).toContain('POST /v1/batches/batch-0/cancel')
  expect(isClosed).toBe(true)
})

it('ends when the signal aborts, also while the next item does not come', async () => {
  const { inferq, requests } = await startStandIn()
  const stop = new AbortController()
  async function* items() {
    yield 'a'
    yield 'b'
    await new Promise(() => undefined)
  }
  const rows = inferq.batches.run(items(), { rowsPerBatch: 1, signal: stop.signal })
  await rows.next()
  const next = rows.next()
  await waitFor('the first batch to be removed', () => requests.includes('DELETE /v1/files/file-0'))
  stop.abort(new Error('stopped'))
  await expect(next.then(() => rows.next())).rejects.toThrow('stopped')
})

it('continues after the rows that it has when the connection is lost', async () => {
  let connections = 0
  const { inferq } = await startStandIn({
    sendResults: (response, lines, after) => {
      connections += 1
      if (connections > 1) sendAll(response, lines, after)
      else response.write(lines[0] ?? '', () => response.destroy())
    },
  })
  expect(await labelsOf(inferq.batches.run(['a', 'b', 'c']))).toEqual(['a', 'b', 'c'])
  expect(connections).toBe(2)
})

it('throws when a batch ends without its results', async () => {
  const { inferq } = await startStandIn({ status: 'failed', sendResults: (response) => response.end() })
  await expect(collect(inferq.batches.run(['a']))).rejects.toThrow(BatchError)
})

it('throws an error of the iterable', async () => {
  const { inferq } = await startStandIn()
  function* items() {
    yield 'a'
    throw new Error('unreadable')
  }
  await expect(collect(inferq.batches.run(items(), { rowsPerBatch: 1 }))).rejects.toThrow('unreadable')
})

it('asks for nothing but the limits without items', async () => {
  const { inferq, requests } = await startStandIn()
  expect(await collect(inferq.batches.run([]))).toEqual([])
  expect(requests).toEqual(['GET /info'])
})
