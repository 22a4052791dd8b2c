// An inference process in which a model is missing: loaded well once, it may fail to load when the process is replaced.
import { expect, it } from 'vitest'
import { InferenceProcess } from '../../src/worker/runtime/process.ts'
import type { Loaded } from '../../src/worker/runtime/protocol.ts'
import { standIn } from '../helpers/worker.ts'

it('gives each text of a model that it could not load an error, and lives on', async () => {
  const source = (name: string) => ({ name, dir: '', file: '', labels: 2, maxTokens: 16 })
  let ended: string | undefined
  let child: InferenceProcess | undefined
  const loaded = await new Promise<Loaded[]>((resolve) => {
    child = new InferenceProcess({
      ...standIn,
      load: { models: [source('fine'), source('m-broken')], intraOpThreads: 1 },
      onLoaded: resolve,
      onEnd: (how) => (ended = how),
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
  expect(ended).toBeUndefined()
  child?.kill()
})
