// Two apis share nothing but Redis and a bucket (of TEST_S3_URL, else of a stand-in), which goes away and comes back.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchCaller, faultsIn, lines, mixedLines } from '../helpers/batches.ts'
import { runLargeInputs } from '../helpers/large-inputs.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type TestBucket, testBucket } from '../helpers/s3.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { type TcpProxy, tcpProxy } from '../helpers/tcp-proxy.ts'
import { waitFor } from '../helpers/wait-for.ts'

const ROWS = 2_200
const WORDS = 20
const MB = 1_024 * 1_024
/** An unanswered request of the store lasts 15 s, and is repeated once. */
const LONG = 240_000
const API = fileURLToPath(new URL('../../dist/api/main.js', import.meta.url))

let bucket: TestBucket
let proxy: TcpProxy
const stops: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  bucket = await testBucket()
  stops.push(bucket.stop)
  proxy = await tcpProxy(bucket.location.endpoint ?? '')
  stops.push(proxy.stop)
})
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

interface Two {
  stack: Stack
  apis: { api: StartedProcess; url: string }[]
  /** Their working directories. */
  dirs: string[]
}

async function twoApis(more: Record<string, string> = {}): Promise<Two> {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const dirs: string[] = []
  const apiDir = () => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-api-'))
    dirs.push(dir)
    return dir
  }
  stops.push(async () => dirs.forEach((dir) => rmSync(dir, { recursive: true })))
  const apiEnv = { ...bucket.env, FILES_URL: bucket.url(proxy.url), ...more }
  const stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' }, apiEnv, apiDir })
  stops.push(stack.stop)
  return { stack, apis: [{ api: stack.api, url: stack.url }, await stack.addApi()], dirs }
}

const runs = async (url: string) => /^inferq_running_batches 1/m.test(await (await fetch(`${url}/metrics`)).text())
const warningsOf = async (url: string) =>
  ((await (await fetch(`${url}/health`)).json()) as { warnings?: string[] }).warnings ?? []
const someRows = (caller: BatchCaller, id: string) =>
  waitFor('rows', async () => (await caller.get(id)).request_counts.completed > 0, { every: 10, within: 60_000 })

/** Starts an upload of 40 MB, whose client waits for `middle` after 12 MB. */
function slowUpload(url: string, middle: () => Promise<void>): Promise<Response> {
  const head = '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
  const file = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(head + file)
    for (let sent = 0; sent < 40; sent += 1) {
      if (sent === 12) await middle()
      yield Buffer.alloc(MB, 'x')
    }
    yield Buffer.from('\r\n--b--\r\n')
  }
  return fetch(`${url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    body: ReadableStream.from(body()),
    duplex: 'half',
  })
}

describe('two apis with one bucket', () => {
  it(
    'run one batch: the one that runs it is killed, and the other one continues after the written rows',
    async () => {
      const { apis, dirs } = await twoApis()
      const [one, two] = apis.map(({ url }) => new BatchCaller(url)) as [BatchCaller, BatchCaller]
      const { id } = await one.run(mixedLines(ROWS, WORDS))
      await someRows(two, id)
      const first = (await runs(apis[0]?.url ?? '')) ? 0 : 1
      const other = first === 0 ? two : one
      apis[first]?.api.child.kill('SIGKILL')
      const before = await other.results(id)
      expect(before.length).toBeLessThan(ROWS)
      const done = await other.ended(id, 120_000)
      expect(await faultsIn(other, done, ROWS)).toEqual([])
      expect((await other.results(id)).slice(0, before.length)).toEqual(before)
      expect(dirs.map((dir) => readdirSync(dir))).toEqual([[], []])
    },
    LONG,
  )

  it(
    'share files: one uploads, the other one reads ranges and deletes',
    async () => {
      const { apis } = await twoApis()
      const [one, two] = apis.map(({ url }) => new BatchCaller(url)) as [BatchCaller, BatchCaller]
      const content = 'x'.repeat(6 * MB) + 'the end'
      const { id, bytes } = (await (await one.upload(content)).json()) as { id: string; bytes: number }
      expect(bytes).toBe(content.length)
      const range = await two.call(`/v1/files/${id}/content`, { headers: { Range: 'bytes=-7' } })
      expect([range.status, await range.text()]).toEqual([206, 'the end'])
      expect(await (await two.call(`/v1/files/${id}/content`)).text()).toBe(content)
      expect((await two.call(`/v1/files/${id}`, { method: 'DELETE' })).status).toBe(200)
      expect((await one.call(`/v1/files/${id}/content`)).status).toBe(404)
    },
    LONG,
  )
})

it('stores files that come in parts, or from a URL, for another api', { timeout: LONG }, async () => {
  const { apis } = await twoApis({ INPUT_URL_ALLOW: '127.0.0.1' })
  const [first, second] = apis.map(({ url }) => new BatchCaller(url)) as [BatchCaller, BatchCaller]
  for (const batch of await runLargeInputs(first, mixedLines(ROWS, WORDS)))
    expect(await faultsIn(second, batch, ROWS)).toEqual([])
})

describe('a bucket that goes away', () => {
  it(
    'in the middle of an upload: 503, nothing is stored, and the upload can be repeated',
    async () => {
      const { stack } = await twoApis()
      const caller = new BatchCaller(stack.url)
      const refused = await slowUpload(stack.url, async () => proxy.set('cut'))
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toBe('5')
      expect(((await refused.json()) as { error: { message: string } }).error.message).toBe(
        'the file store does not answer; repeat the request later',
      )
      expect((await caller.upload(lines(10))).status).toBe(503)
      expect((await warningsOf(stack.url))[0]).toMatch(/^uploads are refused and batches wait: the bucket of files/)
      // What needs no file is served.
      expect((await fetch(`${stack.url}/predict?text=hello`)).status).toBe(200)
      proxy.set('pass')
      await waitFor('the warning to end', async () => (await warningsOf(stack.url)).length === 0)
      const list = await caller.ask<{ data: unknown[] }>('/v1/files')
      expect(list.data).toEqual([])
      const stored = await slowUpload(stack.url, async () => undefined)
      expect(await stored.json()).toMatchObject({ bytes: 40 * MB, status: 'processed' })
      const logs = [...stack.api.lines].join('\n')
      expect(logs).not.toContain(bucket.env['AWS_SECRET_ACCESS_KEY'])
      expect(logs).not.toContain(bucket.env['AWS_ACCESS_KEY_ID'])
    },
    LONG,
  )

  it.each(['cut', 'silence'] as const)(
    'in the middle of a batch (%s): it waits, goes on when the bucket is back, and loses nothing',
    async (mode) => {
      const { apis, stack } = await twoApis()
      const caller = new BatchCaller(stack.url)
      const { id } = await caller.run(mixedLines(ROWS, WORDS))
      await someRows(caller, id)
      proxy.set(mode)
      const isNoticed = async () =>
        (await Promise.all(apis.map(({ url }) => warningsOf(url)))).some((warnings) => warnings.length > 0)
      await waitFor('an api to notice', isNoticed, { within: 60_000 })
      const { status, request_counts: counts } = await caller.get(id)
      expect(status).toBe('in_progress')
      expect(counts.completed).toBeLessThan(ROWS)
      proxy.set('pass')
      expect(await faultsIn(caller, await caller.ended(id, 120_000), ROWS)).toEqual([])
      // A wait is no failure of the batch.
      const failures = apis.flatMap(({ api }) => api.logs().filter(({ msg }) => String(msg).includes('a batch failed')))
      expect(failures).toEqual([])
    },
    LONG,
  )
})

it('stops the start of an api in one line without secrets when the bucket refuses its login', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const wrong = { AWS_ACCESS_KEY_ID: 'wrong-access-key', AWS_SECRET_ACCESS_KEY: 'wrong-secret-key' }
  const env = { ...bucket.env, ...wrong, REDIS_URL: redis.url, FILES_URL: bucket.url(), PORT: '0', LOG_LEVEL: 'warn' }
  const api = await startProcess(API, { env, readyLine: (line) => line.startsWith('inferq api:') })
  expect(await api.ended).toBe(1)
  const told = api.lines.filter((line) => line.startsWith('inferq api:'))
  expect(told).toEqual([
    expect.stringMatching(/^inferq api: FILES_URL: the bucket "\w+" at \S+ refuses these credentials/),
  ])
  expect(api.lines.join('\n')).not.toMatch(/wrong-secret-key|wrong-access-key|stack|\bat .*\.js/)
})
