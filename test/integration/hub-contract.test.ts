// What the Hub and its mirrors say in headers: limits, error codes, digests and redirects.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VERSION } from '../../src/package.ts'
import { Hub, type HubOptions } from '../../src/worker/models/hub.ts'
import { parseHubId } from '../../src/worker/models/hub-id.ts'
import { FakeHub } from '../helpers/fake-hub.ts'
import { TINY_MODELS } from '../helpers/worker.ts'

const ID = 'Some-One/Tiny'
const COMMIT = 'a'.repeat(40)
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
const repository = {
  commit: COMMIT,
  files: Object.fromEntries(FILES.map((file) => [file, readFileSync(join(TINY_MODELS, 'tiny-fp32', file))])),
}
const closing = new AbortController()

let hub: FakeHub
let cacheDir: string
let limits: number[]
let stale: string[]

beforeEach(async () => {
  cacheDir = mkdtempSync(join(tmpdir(), 'inferq-hub-'))
  hub = await new FakeHub().start()
  hub.repositories.set(ID, repository)
  limits = []
  stale = []
})
afterEach(async () => {
  await hub.stop()
  rmSync(cacheDir, { recursive: true })
})

function fetched(text = ID, more: Partial<HubOptions> = {}): Promise<string> {
  const events = {
    progress: () => undefined,
    waiting: () => undefined,
    limited: (_model: string, ms: number) => limits.push(ms),
    stale: (_model: string, reason: string) => stale.push(reason),
  }
  const options = { endpoint: hub.url, token: undefined, cacheDir, timeoutMs: 20_000, pauseMs: 1, events, ...more }
  const id = parseHubId(text)
  if (!id) throw new Error(`${text} is not an id`)
  return new Hub(options).fetchFolder(id, closing.signal)
}

/** Answers `times` requests, or all of them, with a status and headers. */
function answer(status: number, headers: Record<string, string>, times = Number.POSITIVE_INFINITY): void {
  let left = times
  hub.intercept = (_request, response) => {
    if (left-- <= 0) return false
    response.writeHead(status, headers).end()
    return true
  }
}

describe('a limit', () => {
  it.each([
    ['RateLimit', '"api";r=0;t=0'],
    ['Retry-After', '0'],
    ['Retry-After', new Date(0).toUTCString()],
  ])('of %s: %s is kept as often as it is stated', async (name, value) => {
    answer(429, { [name]: value }, 7)
    expect(existsSync(await fetched())).toBe(true)
    expect(limits).toEqual(new Array(7).fill(2))
  })

  it('is the longer of two', async () => {
    answer(429, { 'Retry-After': '1', RateLimit: '"resolvers";r=0;t=0' }, 1)
    await fetched()
    expect(limits).toEqual([1_002])
  })

  it('beyond the timeout ends the download at once, with its length', async () => {
    answer(429, { 'Retry-After': '3600' })
    await expect(fetched()).rejects.toThrow('the Hub answers 429, and asks to wait 3600 s, beyond HUB_TIMEOUT')
    expect(hub.requests).toHaveLength(1)
  })

  it('is not waited for when the model is in the cache', async () => {
    const folder = await fetched()
    answer(429, { 'Retry-After': '3600' })
    expect(await fetched()).toBe(folder)
    expect([limits, stale]).toEqual([[], ['the Hub answers 429']])
  })
})

describe('an error', () => {
  const gated =
    'Access to model Some-One/Tiny is restricted. Visit https://huggingface.co/Some-One/Tiny to ask for access.'
  it.each<[number, string, string | undefined, string | undefined, string]>([
    [401, 'GatedRepo', gated, undefined, `set HF_TOKEN to a token of an account with access: ${gated}`],
    [403, 'GatedRepo', gated, 'hf_x', `${ID} is gated; ask for access with the account of HF_TOKEN: ${gated}`],
    [401, 'RepoNotFound', undefined, undefined, `the Hub has no model ${ID}, or it is private and needs HF_TOKEN`],
    [404, 'RepoNotFound', undefined, 'hf_x', `the Hub has no model ${ID}, or HF_TOKEN has no permission for it`],
    [404, 'RevisionNotFound', 'Invalid rev id: v9', 'hf_x', `the Hub has no revision v9 of ${ID}`],
    [403, 'DisabledRepo', 'Access to this resource is disabled.', undefined, `has disabled ${ID}: Access to this`],
    [401, '', 'Invalid credentials in Authorization header', 'hf_x', 'the Hub does not accept HF_TOKEN'],
    [400, '', 'Bad\trequest', undefined, 'the Hub answers 400: Bad request'],
  ])('%i %s is explained', async (status, code, sentence, token, reason) => {
    answer(status, { ...(code && { 'X-Error-Code': code }), ...(sentence && { 'X-Error-Message': sentence }) })
    await expect(fetched(`${ID}@v9`, { token })).rejects.toThrow(reason)
    expect(hub.requests).toHaveLength(1)
  })

  it('has at most 300 characters of the Hub', async () => {
    answer(400, { 'X-Error-Message': 'x'.repeat(5_000) })
    await expect(fetched()).rejects.toThrow(/: x{300}…$/)
  })
})

describe('a mirror', () => {
  let mirror: FakeHub
  beforeEach(async () => {
    mirror = await new FakeHub().start()
    mirror.repositories.set(ID, repository)
  })
  afterEach(() => mirror.stop())

  it('that states no digest of a file is refused, and nothing of it is kept', async () => {
    hub.intercept = (request, response) => {
      if (!request.url?.endsWith('/config.json')) return false
      response
        .writeHead(200, { 'Content-Length': 26 })
        .end(request.method === 'GET' ? '<html>Please log in</html>' : '')
      return true
    }
    await expect(fetched()).rejects.toThrow(`config.json cannot be verified: ${hub.url} states no digest of it`)
    expect(existsSync(join(cacheDir, ID, COMMIT))).toBe(false)
    expect(existsSync(join(cacheDir, ID, `${COMMIT}.partial`, 'config.json'))).toBe(false)
  })

  it('that redirects to the Hub is followed there for the digests, without the token', async () => {
    hub.token = 'hf_mirror'
    hub.intercept = (request, response) => {
      if (!request.url?.includes('/resolve/')) return false
      response.writeHead(302, { Location: mirror.url + request.url }).end()
      return true
    }
    const folder = await fetched(ID, { token: 'hf_mirror' })
    for (const file of FILES) expect(readFileSync(join(folder, file))).toEqual(repository.files[file])
    expect(mirror.requests.map(({ authorization }) => authorization).filter(Boolean)).toEqual([])
  })
})

it('requests name the program', async () => {
  await fetched()
  expect(new Set(hub.requests.map(({ userAgent }) => userAgent))).toEqual(
    new Set([`inferq/${VERSION} node/${process.versions.node}`]),
  )
})
