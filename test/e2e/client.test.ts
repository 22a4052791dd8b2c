// The client of the package, as it is built, over a restart of the api.
import { afterAll, beforeAll, expect, it } from 'vitest'
import type * as Client from '../../src/client/exports.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let client: typeof Client

beforeAll(async () => {
  client = (await import(new URL('../../dist/client/exports.js', import.meta.url).href)) as typeof Client
  stack = await startStack({ redisUrl: await emptyRedis() })
})
afterAll(() => stack?.stop())

it('runs batches of an iterable over a restart of the api, with every row once and in order', {
  timeout: 180_000,
}, async () => {
  const inferq = new client.Inferq({ url: stack.url })
  const total = 2_000
  function* texts() {
    for (let n = 0; n < total; n += 1) yield `text number ${n}`
  }
  const seen: number[] = []
  let restarted: Promise<unknown> | undefined
  const restart = async () => {
    stack.api.child.kill('SIGKILL')
    await stack.api.ended
    await stack.addApi(Number(new URL(stack.url).port))
  }
  for await (const { index, item, result } of inferq.batches.run(texts(), { rowsPerBatch: 500 })) {
    expect([item, Array.isArray(result)]).toEqual([`text number ${index}`, true])
    seen.push(index)
    if (index === 600) restarted = restart()
  }
  await restarted
  expect(seen).toEqual(Array.from({ length: total }, (_, n) => n))
})
