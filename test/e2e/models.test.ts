// Models of several workers: two revisions at the same time, separate workers, broken folders, and the Hub.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT_CONFIG } from '../../src/lifecycle.ts'
import { BatchCaller } from '../helpers/batches.ts'
import { FakeHub } from '../helpers/fake-hub.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { TINY_MODELS } from '../helpers/worker.ts'

interface ModelObject {
  id: string
  state: string
  reason?: string
  revision?: string
  revisions?: Array<{ revision: string; live: boolean }>
  labels?: string[]
  max_tokens?: number
  function?: string
  isolate?: boolean
  default?: boolean
}

const TEXT = 'The boy is sitting on a bench'
let redisUrl: string
let dir: string
let stack: Stack | undefined
let hub: FakeHub | undefined

beforeEach(async () => {
  redisUrl = await emptyRedis()
  dir = mkdtempSync(join(tmpdir(), 'inferq-models-'))
})

afterEach(async () => {
  await stack?.stop()
  await hub?.stop()
  stack = undefined
  hub = undefined
  rmSync(dir, { recursive: true, force: true })
})

/** Copies a tiny model under `dir`; returns a function that gives the path of a file in it. */
function copied(folder: string, from = 'tiny-fp32'): (file: string) => string {
  cpSync(join(TINY_MODELS, from), join(dir, folder), { recursive: true })
  return (file) => join(dir, folder, file)
}

function change(path: string, fields: object): void {
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }))
}

async function started(options: Omit<Parameters<typeof startStack>[0], 'redisUrl'>): Promise<Stack> {
  stack = await startStack({ redisUrl, ...options })
  return stack
}

async function predict(
  model: string,
): Promise<{ status: number; labels: string[]; revision: string | null; body: unknown }> {
  const response = await fetch(`${stack?.url}/predict`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ inputs: TEXT, model }),
  })
  const body: unknown = await response.json()
  const labels = Array.isArray(body) ? body.map(({ label }: { label: string }) => label).sort() : []
  return { status: response.status, labels, revision: response.headers.get('x-model-revision'), body }
}

async function models(): Promise<Record<string, ModelObject>> {
  const { data } = (await (await fetch(`${stack?.url}/v1/models`)).json()) as { data: ModelObject[] }
  return Object.fromEntries(data.map((model) => [model.id, model]))
}

async function unhealthy(): Promise<string> {
  const response = await fetch(`${stack?.url}/health`)
  expect(response.status).toBe(503)
  return ((await response.json()) as { detail: string }).detail
}

describe('two revisions of a model', () => {
  it('are served at the same time, each answer with its own labels, until the workers are replaced', async () => {
    copied('old/tiny')
    const next = copied('new/tiny')
    change(next('config.json'), { id2label: { 0: 'bad', 1: 'good' } })
    const { addWorker, workers } = await started({ workers: 0, apiEnv: { DEFAULT_MODEL: 'tiny' } })
    await addWorker({ MODELS_DIR: join(dir, 'old') })
    await waitFor('the model', async () => (await models())['tiny'])
    await addWorker({ MODELS_DIR: join(dir, 'new') })
    const both = await waitFor('both revisions', async () => {
      const { revisions = [] } = (await models())['tiny'] ?? {}
      return revisions.filter(({ live }) => live).length === 2 && revisions.map(({ revision }) => revision)
    })

    const labelsOf = new Map<string, string[]>()
    await waitFor('an answer of each revision', async () => {
      for (const { status, labels, revision } of await Promise.all(Array.from({ length: 20 }, () => predict('tiny')))) {
        expect(status).toBe(200)
        expect(labelsOf.get(revision ?? '') ?? labels).toEqual(labels)
        labelsOf.set(revision ?? '', labels)
      }
      return labelsOf.size === 2
    })
    expect([...labelsOf.keys()].sort()).toEqual(both.sort())
    expect([...labelsOf.values()].map(String).sort()).toEqual(['bad,good', 'negative,positive'])

    // A pinned request is answered by that revision alone, also when another worker takes the job first.
    for (const pin of both) {
      const pinned = await Promise.all(Array.from({ length: 30 }, () => predict(`tiny@${pin}`)))
      expect(new Set(pinned.map(({ status, revision }) => `${status} ${revision}`))).toEqual(new Set([`200 ${pin}`]))
    }

    const [old] = workers
    expect(await old?.stop()).toBe(0)
    await waitFor('the old revision to be gone', async () => {
      const { status, revision } = await predict('tiny')
      return (
        status === 200 && (await models())['tiny']?.revision === revision && labelsOf.get(revision ?? '')?.[0] === 'bad'
      )
    })
    const gone = both.find((revision) => labelsOf.get(revision)?.[0] === 'negative')
    await waitFor('requests pinned to it to be refused', async () => (await predict(`tiny@${gone}`)).status === 404)

    // A pinned row of a batch waits for a worker with that revision.
    const caller = new BatchCaller(stack?.url ?? '')
    const pinned = { custom_id: 'a', body: { inputs: TEXT, model: `tiny@${gone}` } }
    const { id } = await caller.create({ requests: [pinned] })
    await waitFor('the batch to run', async () => (await caller.get(id)).status === 'in_progress')
    await addWorker({ MODELS_DIR: join(dir, 'old') })
    expect((await caller.ended(id)).request_counts).toEqual({ total: 1, completed: 1, failed: 0 })
    expect(JSON.stringify(await caller.results(id))).toContain('negative')
  })
})

describe('workers', () => {
  it('may serve different models, each with its own queues', async () => {
    const { addWorker, url } = await started({ workers: 0 })
    await addWorker({ MODELS: 'tiny-fp32,tiny-regression' })
    await addWorker({ MODELS: 'tiny-multilabel' })
    await waitFor(
      'a healthy fleet',
      async () => (await fetch(`${url}/health`)).ok && Object.keys(await models()).length === 3,
    )
    for (const name of ['tiny-fp32', 'tiny-regression', 'tiny-multilabel']) {
      expect((await predict(name)).status).toBe(200)
      expect((await predict(`anybody/${name.toUpperCase()}`)).status).toBe(200)
    }
    const { models: queues } = (await (await fetch(`${url}/v1/queue`)).json()) as { models: Record<string, object> }
    expect(Object.entries(queues).map(([name, queue]) => [name, (queue as { workers: number }).workers])).toEqual([
      ['tiny-fp32', 1],
      ['tiny-multilabel', 1],
      ['tiny-regression', 1],
    ])
  })

  it('apply the settings of inferq.json', async () => {
    const own = copied('tiny')
    writeFileSync(
      own('inferq.json'),
      JSON.stringify({ maxTokens: 16, function: 'sigmoid', isolate: true, lanes: { interactive: 1 } }),
    )
    await started({ workerEnv: { MODELS_DIR: dir }, apiEnv: { DEFAULT_MODEL: 'owner/Tiny' } })
    expect((await models())['tiny']).toMatchObject({
      max_tokens: 16,
      function: 'sigmoid',
      isolate: true,
      default: true,
    })
    const { body } = await predict('tiny')
    const [first, second] = body as { score: number }[]
    expect((first?.score ?? 0) + (second?.score ?? 0)).not.toBeCloseTo(1, 2)
    const response = await fetch(`${stack?.url}/predict`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ inputs: 'boy '.repeat(20), truncate: false }),
    })
    expect([response.status, await response.text()]).toEqual([422, expect.stringMatching(/has 22 tokens.*takes 16/)])
  })
})

describe('a broken folder', () => {
  it('is refused with its reason, and the other models are served', async () => {
    copied('good')
    rmSync(copied('no-tokenizer')('tokenizer.json'))
    truncateSync(copied('cut-model')('onnx/model.onnx'), 20_000)
    // An empty graph: valid protobuf, but no model.
    writeFileSync(copied('no-model')('onnx/model.onnx'), Buffer.from([0x3a, 0x00]))
    change(copied('wrong-labels')('config.json'), { id2label: { 0: 'a', 1: 'b', 2: 'c' } })
    const outside = copied('outside')
    writeFileSync(join(dir, 'weights'), '')
    symlinkSync(join(dir, 'weights'), outside('onnx/model.onnx_data'))
    writeFileSync(copied('unknown-field')('inferq.json'), '{"max_tokens": 7}')
    const names = [
      'good',
      'no-tokenizer',
      'cut-model',
      'no-model',
      'wrong-labels',
      'outside',
      'unknown-field',
      'absent',
    ]
    hub = await new FakeHub().start()
    const away = hub.url
    await hub.stop()
    hub = undefined
    const { addWorker, url } = await started({ workers: 0, apiEnv: { DEFAULT_MODEL: 'good' } })
    const asked = [...names, 'up/../../x', '../../x', '/etc', 'Some-One/Away']
    const env = { MODELS_DIR: dir, MODELS: asked.join(), HF_ENDPOINT: away, MODELS_CACHE: join(dir, 'cache') }
    const worker = await addWorker(env)
    await waitFor('the model', async () => (await predict('good')).status === 200)

    const reasons: Record<string, string | RegExp> = {
      'no-tokenizer': 'tokenizer.json is missing',
      'cut-model': /^onnx\/model\.onnx is not a complete ONNX model: /,
      'no-model': /^onnx\/model\.onnx cannot be loaded: /,
      'wrong-labels': 'onnx/model.onnx: gives 2 logits a text; config.json names 3 labels (id2label)',
      outside: 'onnx/model.onnx_data links to a place outside the folder; put the file itself there',
      'unknown-field': 'inferq.json: max_tokens: is an unknown field',
      absent: 'there is no such folder (a model of the Hub is named owner/name)',
      'up/../../x': /^is neither a folder of MODELS_DIR, a path such as .\/NAME, nor a model of the Hub/,
      x: 'there is no such folder (a model of the Hub is named owner/name)',
      etc: /^config.json is missing; /,
      away: /^Some-One\/Away cannot be fetched: the Hub at \S+ does not answer: .*ECONNREFUSED/,
    }
    const listed = await models()
    const detail = await unhealthy()
    for (const [name, reason] of Object.entries(reasons)) {
      expect(listed[name]).toEqual({
        id: name,
        object: 'model',
        created: 0,
        owned_by: 'inferq',
        state: 'refused',
        reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
      })
      expect(detail).toContain(`${name} (refused: ${listed[name]?.reason})`)
    }
    expect(Object.keys(listed).sort()).toEqual(['good', ...Object.keys(reasons)].sort())
    expect(JSON.stringify(listed)).not.toContain(dir)
    expect((await predict('cut-model')).body).toMatchObject({
      status: 503,
      detail: expect.stringContaining('not a complete ONNX'),
    })
    expect((await predict('../../x')).status).toBe(404)
    expect((await predict('../../good')).status).toBe(404)
    // Each refusal is logged once, although several processes refuse the model.
    const refusals = worker.logs().filter(({ msg }) => msg === 'a model is not served')
    expect(refusals.map(({ model }) => String(model)).sort()).toEqual(Object.keys(reasons).sort())

    // A repaired folder is served after a restart of the workers.
    cpSync(join(TINY_MODELS, 'tiny-fp32/tokenizer.json'), join(dir, 'no-tokenizer/tokenizer.json'))
    await worker.stop()
    await addWorker({ MODELS_DIR: dir, MODELS: 'good,no-tokenizer' })
    await waitFor('the repaired model to be served', async () => (await predict('no-tokenizer')).status === 200)
    await waitFor('a healthy fleet', async () => (await fetch(`${url}/health`)).ok)
  })

  it('ends a worker without any other model, with every reason', async () => {
    rmSync(copied('no-tokenizer')('tokenizer.json'))
    rmSync(copied('no-config')('config.json'))
    const env = { REDIS_URL: redisUrl, MODELS_DIR: dir, MODELS: '', MONITOR_PORT: '0' }
    const failed = startProcess(resolve('dist/worker/main.js'), { env, readyLine: () => false })
    await expect(failed).rejects.toThrow(`ended with ${EXIT_CONFIG}`)
    await expect(failed).rejects.toThrow(
      /no-config: config\.json is missing[^]*no-tokenizer: tokenizer\.json is missing/,
    )
  })
})

describe('a model of the Hub', () => {
  it('is downloaded at the start of a worker, and served like any other model', async () => {
    hub = await new FakeHub().start()
    const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx']
    const files = Object.fromEntries(names.map((file) => [file, readFileSync(join(TINY_MODELS, 'tiny-pairs', file))]))
    hub.repositories.set('Some-One/Tiny-Pairs', { commit: 'c'.repeat(40), files })
    hub.token = 'hf_secret'
    mkdirSync(join(dir, 'models'))
    const workerEnv = {
      MODELS: 'Some-One/Tiny-Pairs,tiny-fp32',
      MODELS_CACHE: join(dir, 'cache'),
      HF_ENDPOINT: hub.url,
      HF_TOKEN: 'hf_secret',
    }
    const { workers } = await started({ workers: 2, workerEnv })
    expect(Object.keys(await models())).toEqual(['tiny-fp32', 'tiny-pairs'])
    expect((await predict('Some-One/Tiny-Pairs')).status).toBe(200)
    expect((await predict('tiny-pairs')).status).toBe(200)
    // Two workers, one cache, one download.
    expect(hub.reads('onnx/model.onnx')).toHaveLength(1)
    const output = workers.flatMap((worker) => worker.lines).join('\n')
    expect(output).toMatch(/"file":"onnx\/model.onnx","bytes":\d+,"percent":100,"msg":"fetched from the Hub"/)
    expect(output).not.toContain('hf_secret')
  })

  it('does not delay a stop while it is downloaded', async () => {
    hub = await new FakeHub().start()
    hub.intercept = () => true
    const slow = hub
    const env = { REDIS_URL: redisUrl, MODELS: 'Some-One/Slow', MODELS_CACHE: join(dir, 'cache'), HF_ENDPOINT: hub.url }
    const worker = await startProcess(resolve('dist/worker/main.js'), {
      env: { ...env, MODELS_DIR: TINY_MODELS, MONITOR_PORT: '0', LOG_LEVEL: 'info' },
      readyLine: (line) => line.includes('health and metrics'),
    })
    await slow.receives('/api/models/Some-One/Slow/revision/main')
    expect(await worker.stop(5_000)).toBe(0)
  })
})
