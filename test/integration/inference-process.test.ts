// Inference process: failed loads, failed starts, runs sent ahead, niceness.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { InferenceProcess, type InferenceProcessOptions } from '../../src/worker/inference/inference-process.ts'
import type { Loaded } from '../../src/worker/inference/ipc.ts'
import { ProcessPool } from '../../src/worker/inference/process-pool.ts'
import { childrenOf, isAlive } from '../helpers/processes.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { realModel, standIn } from '../helpers/worker.ts'

const source = (name: string) => ({ name, dir: '', file: '', labels: 2, maxTokens: 16 })
const poolOptions = {
  processes: 1,
  intraOpThreads: 1,
  loadTimeoutMs: 60_000,
  maxMemory: Number.POSITIVE_INFINITY,
  program: standIn,
  onLoaded: () => Promise.resolve(),
  onSlowLoad: () => undefined,
  onReady: () => undefined,
  onPutOff: () => undefined,
  onDeath: () => undefined,
}

/** A process that accepts runs. */
async function started(
  options: Pick<InferenceProcessOptions, 'load'> & Partial<InferenceProcessOptions>,
): Promise<InferenceProcess> {
  let child: InferenceProcess | undefined
  await new Promise<void>((resolve) => {
    child = new InferenceProcess({
      ...standIn,
      loadTimeoutMs: 60_000,
      maxMemory: Number.POSITIVE_INFINITY,
      holdsUpOthers: () => false,
      onLoaded: () => Promise.resolve([]),
      onSlowLoad: () => undefined,
      onReady: resolve,
      onEnd: () => undefined,
      ...options,
    })
  })
  return child as InferenceProcess
}

const runOf = (model: string) => ({
  model,
  columns: { texts: ['a'], truncate: ['right' as const] },
  expectedMs: 1,
  timeoutMs: 20_000,
  suspect: false,
})

it('returns an error for each text of a model that it could not load, and stays alive', async () => {
  let endCause: string | undefined
  let loaded: Loaded[] = []
  const child = await started({
    load: { models: [source('fine'), source('m-broken')], intraOpThreads: 1 },
    onLoaded: async (models) => {
      loaded = models
      return []
    },
    onEnd: ({ cause }) => (endCause = cause),
  })
  expect(loaded).toMatchObject([{ name: 'fine' }, { name: 'm-broken', refused: expect.any(String) }])
  const run = (model: string) =>
    child.run({
      model,
      columns: { texts: ['a', 'bb'], truncate: ['right', 'right'] },
      expectedMs: 1,
      timeoutMs: 20_000,
      suspect: false,
    })
  const failed = [
    [0, { code: 'Backend' }],
    [1, { code: 'Backend' }],
  ]
  expect(await run('m-broken')).toMatchObject({ kind: 'ran', columns: { errors: failed } })
  expect(await run('fine')).toMatchObject({ kind: 'ran', columns: { errors: [] } })
  expect(endCause).toBeUndefined()
  child.kill()
})

it('is started again after a failed start', async () => {
  let tries = 0
  const program = {
    module: standIn.module,
    get execArgv() {
      tries += 1
      // fork throws for this argument, as it does without memory.
      return tries <= 2 ? ['\0'] : standIn.execArgv
    },
  }
  const deaths: string[] = []
  const models = () => [source('fine')]
  const pool = new ProcessPool({ ...poolOptions, models, program, onDeath: (cause) => void deaths.push(cause) })
  await pool.start()
  expect([pool.ready, deaths.map((cause) => cause.slice(0, 16))]).toEqual([1, ['it did not start', 'it did not start']])
  await pool.stop()
})

it('takes a second run shortly before the estimated end of the first, and no third', async () => {
  const child = await started({ load: { models: [source('fine')], intraOpThreads: 1 } })
  const run = (text: string) =>
    child.run({
      model: 'fine',
      columns: { texts: [text], truncate: ['right'] },
      expectedMs: 200,
      timeoutMs: 20_000,
      suspect: false,
    })
  expect(child.load).toBe(0)
  const first = run('slow 2000')
  expect(child.load).toBeUndefined()
  await waitFor('the process to take a second run', () => child.load === 1)
  const second = run('a')
  expect(child.load).toBeUndefined()
  expect([(await first)?.kind, (await second)?.kind]).toEqual(['ran', 'ran'])
  child.kill()
})

it('serves the other models while one hangs when it is loaded, and refuses that one', async () => {
  const served: string[] = []
  const refused: string[] = []
  const putOff: string[] = []
  const deaths: string[] = []
  const slow: string[] = []
  const all = [source('m-hanging'), source('fine')]
  const pool = new ProcessPool({
    ...poolOptions,
    processes: 2,
    models: () => all.filter(({ name }) => !refused.includes(name)),
    loadTimeoutMs: 2_000,
    onLoaded: async (models) => {
      for (const model of models) ('refused' in model ? refused : served).push(model.name)
    },
    onSlowLoad: (name) => slow.push(name),
    onPutOff: (name, reason) => putOff.push(`${name}: ${reason}`),
    onDeath: (cause) => deaths.push(cause),
  })
  await pool.start()
  expect([pool.ready, served, refused]).toEqual([2, ['fine', 'fine'], []])
  expect(slow.filter((name) => name === 'm-hanging')).toEqual(['m-hanging'])
  expect(putOff[0]).toMatch(/^m-hanging: .*the other models are loaded first/)
  expect(await pool.run(runOf('fine'))).toMatchObject({ kind: 'ran' })
  await waitFor('the hanging model to be refused', () => refused.includes('m-hanging'))
  expect(deaths[0]).toMatch(/other models wait for a slow load while loading m-hanging/)
  expect(deaths.at(-1)).toMatch(/LOAD_TIMEOUT \(2 s\) while loading m-hanging/)
  expect(await pool.run(runOf('fine'))).toMatchObject({ kind: 'ran' })
  await pool.stop()
})

it('postpones a slow load once, and then lets it take its time', async () => {
  const deaths: string[] = []
  const served: string[] = []
  const pool = new ProcessPool({
    ...poolOptions,
    models: () => [source('m-2000'), source('fine')],
    loadTimeoutMs: 6_000,
    onLoaded: async (models) => void served.push(...models.map(({ name }) => name)),
    onDeath: (cause) => deaths.push(cause),
  })
  await pool.start()
  expect(served).toEqual(['fine'])
  await waitFor('the slow model', async () => pool.ready === 1 && served.includes('m-2000'))
  expect(deaths).toEqual([expect.stringContaining('slow load while loading m-2000')])
  expect(await pool.run(runOf('m-2000'))).toMatchObject({ kind: 'ran', columns: { errors: [] } })
  await pool.stop()
})

it('refuses a model whose load exceeds the memory, and serves the others', async () => {
  const refused: { name: string; refused: string }[] = []
  const pool = new ProcessPool({
    ...poolOptions,
    models: () =>
      [source('m-growing'), source('fine')].filter(({ name }) => !refused.some((each) => each.name === name)),
    maxMemory: 600 * 1_048_576,
    onLoaded: async (models) => {
      for (const model of models) if ('refused' in model) refused.push(model)
    },
  })
  await pool.start()
  expect(await pool.run(runOf('fine'))).toMatchObject({ kind: 'ran' })
  await waitFor('the refusal', () => refused.length > 0)
  expect(refused[0]).toMatchObject({ name: 'm-growing', refused: expect.stringContaining('INFERENCE_MEMORY (629 MB)') })
  await pool.stop()
})

it('is what Linux ends first when memory runs out', async () => {
  const pool = new ProcessPool({ ...poolOptions, program: realModel, models: () => [source('fine')] })
  const started = pool.start()
  const [pid] = await waitFor('the process', async () => {
    const children = await childrenOf(process.pid)
    const scores = children.filter((child) => readFileSync(`/proc/${child}/oom_score_adj`, 'utf8') === '1000\n')
    return scores.length > 0 && scores
  })
  expect(pid).toBeGreaterThan(0)
  await pool.stop()
  await started
})

it('loads a model that was put off into every process once its load succeeds', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'inferq-hanging-'))
  await writeFile(join(dir, 'hanging'), '')
  const served: string[] = []
  const pool = new ProcessPool({
    ...poolOptions,
    processes: 2,
    models: () => [{ ...source('slow'), dir }, source('fine')],
    loadTimeoutMs: 2_000,
    onLoaded: async (models) => void served.push(...models.map(({ name }) => name)),
    onDeath: () => void rm(join(dir, 'hanging'), { force: true }),
  })
  await pool.start()
  await waitFor('both processes to load it', () => served.filter((name) => name === 'slow').length >= 2)
  await waitFor('both to be ready', () => pool.ready === 2)
  const outcomes = await Promise.all([pool.run(runOf('slow')), pool.run(runOf('slow'))])
  expect(outcomes).toMatchObject([
    { kind: 'ran', columns: { errors: [] } },
    { kind: 'ran', columns: { errors: [] } },
  ])
  await pool.stop()
  await rm(dir, { recursive: true })
})

it('ends with its parent while native code blocks it', async () => {
  const program = `
    import { InferenceProcess } from './src/worker/inference/inference-process.ts'
    const child = new InferenceProcess({
      module: new URL('file://${standIn.module.pathname}'),
      execArgv: ['--import', 'tsx'],
      load: { models: [{ name: 'm-hanging', dir: '', file: '', labels: 2, maxTokens: 16 }], intraOpThreads: 1 },
      loadTimeoutMs: 600_000,
      maxMemory: Infinity,
      holdsUpOthers: () => false,
      onLoaded: () => Promise.resolve([]),
      onSlowLoad: () => undefined,
      onReady: () => undefined,
      onEnd: () => undefined,
    })
    setInterval(() => child.loading && console.log('loading'), 100)`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(parent.stdout, 'data')
  const children = await childrenOf(parent.pid)
  expect(children.length).toBeGreaterThan(0)
  parent.kill('SIGKILL')
  await waitFor('its processes to end', () => !children.some(isAlive))
})
