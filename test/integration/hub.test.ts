// Models of the Hub, with a fake Hub that is slow, interrupted, truncated, wrong, refusing, failing or unavailable.
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Hub, type HubOptions } from '../../src/worker/models/hub.ts'
import { parseHubId } from '../../src/worker/models/hub-id.ts'
import { readRegistry } from '../../src/worker/models/registry.ts'
import { FakeHub, sendRange } from '../helpers/fake-hub.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { TINY_MODELS } from '../helpers/worker.ts'

const ID = 'Some-One/Tiny'
const [COMMIT, NEXT_COMMIT] = ['a'.repeat(40), 'b'.repeat(40)]
const MODEL_FILE = 'onnx/model.onnx'
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', MODEL_FILE]
const closing = new AbortController()

let hub: FakeHub
let cacheDir: string
let files: Record<string, Buffer>
let progress: string[]
let stale: string[]
let waiting: string[]

beforeEach(async () => {
  cacheDir = mkdtempSync(join(tmpdir(), 'inferq-hub-'))
  hub = await new FakeHub().start()
  files = Object.fromEntries(FILES.map((file) => [file, readFileSync(join(TINY_MODELS, 'tiny-fp32', file))]))
  // Never requested: another framework's weights, another precision, a path outside the folder.
  const others = {
    'model.safetensors': Buffer.alloc(9),
    'onnx/model_fp16.onnx': Buffer.alloc(9),
    '../x': Buffer.alloc(9),
  }
  hub.repositories.set(ID, { commit: COMMIT, files: { ...files, ...others } })
  progress = []
  stale = []
  waiting = []
})

afterEach(async () => {
  await hub.stop()
  rmSync(cacheDir, { recursive: true })
})

function client(more: Partial<HubOptions> = {}): Hub {
  return new Hub({
    endpoint: hub.url,
    token: undefined,
    cacheDir,
    timeoutMs: 20_000,
    idleTimeoutMs: 5_000,
    pauseMs: 1,
    events: {
      progress: (model, file, bytes, total) => progress.push(`${model} ${file} ${bytes}/${total}`),
      stale: (_model, reason) => stale.push(reason),
      waiting: (model) => waiting.push(model),
      limited: () => undefined,
    },
    ...more,
  })
}

function fetched(text = ID, more: Partial<HubOptions> = {}): Promise<string> {
  const id = parseHubId(text)
  if (!id) throw new Error(`${text} is not an id`)
  return client(more).fetchFolder(id, closing.signal)
}

/** SHA-256 of each file in a folder, by path. */
function contents(dir: string): Record<string, string> {
  const paths = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return digests(
    Object.fromEntries(
      paths.map(({ parentPath, name }) => {
        const path = join(parentPath, name)
        return [path.slice(dir.length + 1), readFileSync(path)]
      }),
    ),
  )
}

function digests(all: Record<string, Buffer>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(all).map(([file, content]) => [file, createHash('sha256').update(content).digest('hex')]),
  )
}

/** Bytes of the file on this machine during its download. */
function partBytes(file: string): number {
  const part = join(cacheDir, ID, `${COMMIT}.partial`, `${file}.part`)
  return existsSync(part) ? statSync(part).size : 0
}

/** Sends the file up to `end`, and closes the connection once it has been stored. */
async function cutAt(end: number, request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
  const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0])
  const range = { 'Content-Range': `bytes ${from}-${body.length - 1}/${body.length}` }
  response.writeHead(from > 0 ? 206 : 200, from > 0 ? range : { 'Content-Length': body.length })
  response.write(body.subarray(from, end))
  await waitFor('the bytes to be stored', () => partBytes(MODEL_FILE) === end)
  response.destroy()
}

describe('a model of the Hub', () => {
  it('is a folder with the served files only', async () => {
    const { models, refused } = await readRegistry([TINY_MODELS], [`${ID}@refs/pr/1`], (id) =>
      client().fetchFolder(id, closing.signal),
    )
    expect(refused).toEqual([])
    expect(models).toMatchObject([{ name: 'tiny', labels: ['negative', 'positive'], file: MODEL_FILE }])
    expect(contents(models[0]?.dir ?? '')).toEqual(digests(files))
    const local = await readRegistry([TINY_MODELS], ['tiny-fp32'], () => Promise.reject(new Error('local')))
    expect(models[0]?.revision).toBe(local.models[0]?.revision)
  })

  it('is the quantized file where there is one, with its external data', async () => {
    const more = { 'onnx/model_quantized.onnx': Buffer.from('q'), 'onnx/model_quantized.onnx_data': Buffer.from('d') }
    hub.repositories.set(ID, { commit: COMMIT, files: { ...files, ...more } })
    expect(Object.keys(contents(await fetched())).filter((file) => file.startsWith('onnx/'))).toEqual(Object.keys(more))
  })

  it('may have its ONNX file next to config.json, or where its inferq.json says', async () => {
    const { [MODEL_FILE]: onnx = Buffer.alloc(0), ...texts } = files
    const flat = { ...texts, 'model.onnx': onnx }
    hub.repositories.set(ID, { commit: COMMIT, files: flat })
    expect(contents(await fetched())).toEqual(digests(flat))
    const chosen = {
      ...texts,
      'inferq.json': Buffer.from('{"file": "onnx/model_q4.onnx"}'),
      'onnx/model_q4.onnx': onnx,
    }
    hub.repositories.set(ID, { commit: NEXT_COMMIT, files: { ...chosen, 'onnx/model.onnx': onnx } })
    expect(contents(await fetched())).toEqual(digests(chosen))
  })

  it('with several ONNX files of unusual names is refused with their names', async () => {
    const { [MODEL_FILE]: onnx = Buffer.alloc(0), ...texts } = files
    hub.repositories.set(ID, { commit: COMMIT, files: { ...texts, 'onnx/a.onnx': onnx, 'onnx/b.onnx': onnx } })
    await expect(fetched()).rejects.toThrow('must name one of onnx/a.onnx, onnx/b.onnx')
  })

  it('is downloaded once per commit', async () => {
    const folder = await fetched()
    const before = hub.requests.length
    expect(await fetched()).toBe(folder)
    expect(hub.requests.slice(before).map(({ path }) => path)).toEqual([`/api/models/${ID}/revision/main`])
    hub.repositories.set(ID, { commit: NEXT_COMMIT, files: { ...files, 'README.md': Buffer.from('new') } })
    expect(contents(await fetched())).toEqual(digests({ ...files, 'README.md': Buffer.from('new') }))
    expect(contents(folder)).toEqual(digests(files))
  })

  it('with a commit that is in the cache causes no request', async () => {
    const folder = await fetched(`${ID}@${COMMIT}`)
    const before = hub.requests.length
    expect(await fetched(`${ID}@${COMMIT}`)).toBe(folder)
    expect(hub.requests).toHaveLength(before)
  })

  it('reports the progress of its download', async () => {
    await fetched()
    const bytes = files[MODEL_FILE]?.length
    expect(progress).toContain(`${ID} ${MODEL_FILE} ${bytes}/${bytes}`)
  })

  it('sends the token to the Hub, but not to the storage', async () => {
    hub.token = 'hf_secret'
    await fetched(ID, { token: 'hf_secret' })
    const [storage, others] = [hub.reads(MODEL_FILE), hub.requests.filter(({ path }) => !path.startsWith('/storage'))]
    expect(storage.map(({ authorization }) => authorization)).toEqual([undefined])
    expect(new Set(others.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer hf_secret']))
  })
})

describe('a download', () => {
  it('that is interrupted is resumed', async () => {
    const ends = [1_000, 3_000]
    hub.intercept = (request, response, body) => {
      const end = body && request.url?.endsWith(MODEL_FILE) && ends.shift()
      if (!end) return false
      void cutAt(end, request, response, body)
      return true
    }
    expect(contents(await fetched())).toEqual(digests(files))
    expect(hub.reads(MODEL_FILE).map(({ range }) => range)).toEqual([undefined, 'bytes=1000-', 'bytes=3000-'])
  })

  it('that was interrupted by the end of its process is resumed at the next start', async () => {
    const partial = join(cacheDir, ID, `${COMMIT}.partial`)
    mkdirSync(join(partial, 'onnx'), { recursive: true })
    writeFileSync(join(partial, `${MODEL_FILE}.part`), files[MODEL_FILE]?.subarray(0, 5_000) ?? '')
    expect(contents(await fetched())).toEqual(digests(files))
    expect(hub.reads(MODEL_FILE).map(({ range, status }) => [range, status])).toEqual([['bytes=5000-', 206]])
  })

  it('with a wrong stored part starts again', async () => {
    const partial = join(cacheDir, ID, `${COMMIT}.partial`)
    mkdirSync(join(partial, 'onnx'), { recursive: true })
    writeFileSync(join(partial, `${MODEL_FILE}.part`), 'x'.repeat(5_000))
    expect(contents(await fetched())).toEqual(digests(files))
    expect(hub.reads(MODEL_FILE).map(({ range }) => range)).toEqual(['bytes=5000-', undefined])
  })

  it('from a server without range requests starts again', async () => {
    let isFirst = true
    hub.intercept = (request, response, body) => {
      if (!body || !request.url?.endsWith(MODEL_FILE)) return false
      if (isFirst) void cutAt(1_000, request, response, body)
      else response.writeHead(200, { 'Content-Length': body.length }).end(body)
      isFirst = false
      return true
    }
    expect(contents(await fetched())).toEqual(digests(files))
  })

  it('that always ends too early is refused and leaves no complete file', async () => {
    hub.intercept = (request, response, body) => {
      if (!body || !request.url?.endsWith(MODEL_FILE)) return false
      response.writeHead(200, { 'Content-Length': 1_000 }).end(body.subarray(0, 1_000))
      return true
    }
    await expect(fetched()).rejects.toThrow(
      `${ID} cannot be fetched: ${MODEL_FILE} ends after 1000 of ${files[MODEL_FILE]?.length} bytes`,
    )
    expect(existsSync(join(cacheDir, ID, COMMIT))).toBe(false)
    expect(existsSync(join(cacheDir, ID, `${COMMIT}.partial`, MODEL_FILE))).toBe(false)
  })

  it.each([
    [MODEL_FILE, 'SHA-256'],
    ['tokenizer.json', 'SHA-1'],
  ])('with other content than the Hub reports is refused: %s', async (file, what) => {
    hub.intercept = (request, response, body) => {
      if (!body || request.method !== 'GET' || !request.url?.endsWith(file)) return false
      sendRange(request, response, Buffer.from(body).fill(0, 100, 200))
      return true
    }
    await expect(fetched()).rejects.toThrow(`${ID} cannot be fetched: ${file} has another ${what} than the Hub reports`)
    expect(existsSync(join(cacheDir, ID, `${COMMIT}.partial`, `${file}.part`))).toBe(false)
    hub.intercept = () => false
    expect(contents(await fetched())).toEqual(digests(files))
  })

  it('that stalls is retried', async () => {
    let stalls = 0
    hub.intercept = (request, response, body) => {
      if (!body || !request.url?.endsWith(MODEL_FILE) || stalls++ > 0) return false
      response.writeHead(200, { 'Content-Length': body.length }).write(body.subarray(0, 1_000))
      return true
    }
    expect(contents(await fetched(ID, { idleTimeoutMs: 500 }))).toEqual(digests(files))
    expect(hub.reads(MODEL_FILE)).toHaveLength(2)
  })

  it('that exceeds its timeout is refused, and resumed at the next start', async () => {
    const open: ServerResponse[] = []
    hub.intercept = (request, response, body) => {
      if (!body || !request.url?.endsWith(MODEL_FILE)) return false
      open.push(response)
      response.writeHead(200, { 'Content-Length': body.length }).write(body.subarray(0, 1_000))
      return true
    }
    await expect(fetched(ID, { timeoutMs: 1_500 })).rejects.toThrow('it takes longer than HUB_TIMEOUT')
    hub.intercept = () => false
    expect(contents(await fetched())).toEqual(digests(files))
    expect(hub.reads(MODEL_FILE).at(-1)?.range).toBe('bytes=1000-')
  })

  it('ends immediately when the worker stops', async () => {
    const stopping = new AbortController()
    hub.intercept = (request) => Boolean(request.url?.endsWith(MODEL_FILE))
    const fetching = client().fetchFolder(
      { owner: 'Some-One', name: 'Tiny', revision: 'main', model: 'tiny' },
      stopping.signal,
    )
    const ended = fetching.then(
      () => 'fetched',
      () => 'not fetched',
    )
    await waitFor('the other files', () => existsSync(join(cacheDir, ID, `${COMMIT}.partial`, 'tokenizer_config.json')))
    stopping.abort()
    expect(await ended).toBe('not fetched')
  })

  it('is shared by processes with the same cache', async () => {
    const release: Array<() => void> = []
    hub.intercept = (request, response, body) => {
      if (!body || !request.url?.endsWith(MODEL_FILE)) return false
      release.push(() => sendRange(request, response, body))
      return true
    }
    const both = [fetched(), fetched()]
    await waitFor('one to read and one to wait', () => release.length === 1 && waiting.length === 1)
    release[0]?.()
    const [first, second] = await Promise.all(both)
    expect(first).toBe(second)
    expect(hub.reads(MODEL_FILE)).toHaveLength(1)
  })

  it('takes over the lock of a process that was killed', async () => {
    const lock = join(cacheDir, `${ID}.lock`)
    mkdirSync(lock, { recursive: true })
    const before = new Date(Date.now() - 60_000)
    utimesSync(lock, before, before)
    expect(contents(await fetched())).toEqual(digests(files))
  })
})

describe('a Hub', () => {
  const answering = (status: number, times = Number.POSITIVE_INFINITY) => {
    let left = times
    hub.intercept = (_request, response) => {
      if (left-- <= 0) return false
      response.writeHead(status).end()
      return true
    }
  }

  it('that fails for a while gets another request', async () => {
    answering(500, 3)
    expect(contents(await fetched())).toEqual(digests(files))
  })

  it.each([
    [500, 4, 'the Hub answers 500'],
    [429, 4, 'the Hub answers 429'],
    [403, 1, 'the Hub denies access; set HF_TOKEN'],
    [404, 1, `the Hub has no ${ID} at revision main`],
    [401, 1, 'the Hub requires a token: set HF_TOKEN (it answers the same for a model that does not exist)'],
  ])('that answers %i gets %i requests', async (status, times, reason) => {
    answering(status)
    await expect(fetched()).rejects.toThrow(`${ID} cannot be fetched: ${reason}`)
    expect(hub.requests).toHaveLength(times)
  })

  it('that rejects the token is reported', async () => {
    hub.token = 'another'
    await expect(fetched(ID, { token: 'hf_secret' })).rejects.toThrow('the Hub does not accept HF_TOKEN')
  })

  it('without the revision is reported', async () => {
    await expect(fetched(`${ID}@v9`)).rejects.toThrow(`the Hub has no ${ID} at revision v9`)
  })

  it('that answers with HTML is reported', async () => {
    hub.intercept = (_request, response) => Boolean(response.writeHead(200).end('<html>Please log in</html>'))
    await expect(fetched()).rejects.toThrow(/http:\S+ does not answer like the Hub; check HF_ENDPOINT/)
  })

  it('that sends nothing is reported', async () => {
    hub.intercept = () => true
    await expect(fetched(ID, { idleTimeoutMs: 100 })).rejects.toThrow('the Hub sent nothing for 0.1 s')
  })

  it('that is unavailable is not needed for a cached model', async () => {
    const folder = await fetched()
    const endpoint = hub.url
    await hub.stop()
    expect(await fetched(ID, { endpoint })).toBe(folder)
    expect(stale).toEqual([
      expect.stringMatching(/^the Hub at http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/),
    ])
  })

  it('that is unavailable makes only models fail that are not cached', async () => {
    const endpoint = hub.url
    await hub.stop()
    const { models, refused } = await readRegistry([TINY_MODELS], ['tiny-fp32', ID], (id) =>
      client({ endpoint }).fetchFolder(id, closing.signal),
    )
    expect(models.map(({ name }) => name)).toEqual(['tiny-fp32'])
    expect(refused).toEqual([{ name: 'tiny', reason: expect.stringContaining('ECONNREFUSED') }])
  })

  it('with a new commit that cannot be downloaded leaves the cached one', async () => {
    const folder = await fetched()
    hub.repositories.set(ID, { commit: NEXT_COMMIT, files })
    hub.intercept = (request, response, body) =>
      Boolean(body && request.url?.endsWith(MODEL_FILE) && response.destroy())
    expect(await fetched()).toBe(folder)
    expect(stale).toHaveLength(1)
  })

  it('error of the cache names its setting', async () => {
    writeFileSync(join(cacheDir, 'file'), '')
    await expect(fetched(ID, { cacheDir: join(cacheDir, 'file') })).rejects.toThrow('MODELS_CACHE: ENOTDIR')
  })
})
