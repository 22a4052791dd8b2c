// Inference process: failed loads, failed starts, runs sent ahead, niceness.
import { expect, it } from 'vitest'
import { InferenceProcess } from '../../src/worker/inference/inference-process.ts'
import type { Loaded } from '../../src/worker/inference/ipc.ts'
import { ProcessPool } from '../../src/worker/inference/process-pool.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { standIn } from '../helpers/worker.ts'

const source = (name: string) => ({ name, dir: '', file: '', labels: 2, maxTokens: 16 })

it('returns an error for each text of a model that it could not load, and stays alive', async () => {
  let endCause: string | undefined
  let child: InferenceProcess | undefined
  const loaded = await new Promise<Loaded[]>((resolve) => {
    child = new InferenceProcess({
      ...standIn,
      load: { models: [source('fine'), source('m-broken')], intraOpThreads: 1 },
      onLoaded: resolve,
      onEnd: (cause) => (endCause = cause),
    })
  })
  expect(loaded).toMatchObject([{ name: 'fine' }, { name: 'm-broken', refused: expect.any(String) }])
  const run = (model: string) =>
    child?.run({
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
  child?.kill()
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
  const models = () => Promise.resolve([source('fine')])
  const options = { processes: 1, models, intraOpThreads: 1, program, onReady: () => undefined }
  const pool = new ProcessPool({ ...options, onDeath: (cause) => void deaths.push(cause) })
  await pool.start()
  expect([pool.ready, deaths.map((cause) => cause.slice(0, 16))]).toEqual([1, ['it did not start', 'it did not start']])
  await pool.stop()
})

it('takes a second run shortly before the estimated end of the first, and no third', async () => {
  let child: InferenceProcess | undefined
  await new Promise((resolve) => {
    const load = { models: [source('fine')], intraOpThreads: 1 }
    child = new InferenceProcess({ ...standIn, load, onLoaded: resolve, onEnd: () => undefined })
  })
  const run = (text: string) =>
    child?.run({
      model: 'fine',
      columns: { texts: [text], truncate: ['right'] },
      expectedMs: 200,
      timeoutMs: 20_000,
      suspect: false,
    })
  expect(child?.load).toBe(0)
  const first = run('slow 2000')
  expect(child?.load).toBeUndefined()
  await waitFor('the process to take a second run', () => child?.load === 1)
  const second = run('a')
  expect(child?.load).toBeUndefined()
  expect([(await first)?.kind, (await second)?.kind]).toEqual(['ran', 'ran'])
  child?.kill()
})
