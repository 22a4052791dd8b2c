// `inferq status` against a healthy server, one without workers, and none.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type CliOptions, runCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { DEFAULT_MODEL: 'tiny-fp32' } })
})
afterAll(() => stack.stop())

const status = (args: string[] = [], env: CliOptions['env'] = {}) =>
  runCli(['status', ...args], { env: { INFERQ_URL: stack.url, ...env } })

it('prints the models with what waits, and the workers', async () => {
  const { code, stdout } = await status()
  expect(code).toBe(0)
  expect(stdout).toMatch(/^inferq \d+\.\d+\.\d+ at http:\S+: healthy\n/)
  expect(stdout).toMatch(/^tiny-fp32 \(default\) +1 +[\d,]+ +0 jobs +0 jobs +0 jobs +none$/m)
  expect(stdout).toMatch(/^\S+ +\S+ +\S+ +running +\d+s +.*tiny-fp32/m)
})

it('prints JSON', async () => {
  const { health, info, queue } = JSON.parse((await status(['--json'])).stdout)
  expect(health).toEqual({ healthy: true, warnings: [] })
  expect(info.workers).toHaveLength(1)
  expect(queue['tiny-fp32']).toMatchObject({ workers: 1, depth: { bulk: 0 } })
})

it('fails without a server, with the remedy', async () => {
  const { code, stderr } = await status([], { INFERQ_URL: 'http://user:hidden@127.0.0.1:9' })
  expect([code, stderr]).toEqual([1, expect.stringMatching(/does not answer.*inferq serve/)])
  expect(stderr).not.toContain('hidden')
})

it('states what is missing when a model has no worker', async () => {
  await stack.workers[0]?.stop()
  await waitFor('the api to notice', async () => (await fetch(`${stack.url}/health`)).status === 503)
  const { code, stdout } = await status()
  expect([code, stdout]).toEqual([1, expect.stringMatching(/^inferq .*: no live worker serves: .*tiny-fp32/)])
  expect(stdout).toMatch(/^tiny-fp32 \(default\) .* no worker$/m)
})
