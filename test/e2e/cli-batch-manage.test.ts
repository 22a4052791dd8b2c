// `inferq batch list`, `status` and `cancel`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import type { Batch } from '../../src/client/types.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { runCli, startCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let dir: string

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis() })
  dir = mkdtempSync(join(tmpdir(), 'inferq-manage-'))
})
afterAll(async () => {
  await stack.stop()
  rmSync(dir, { recursive: true, force: true })
})

const options = () => ({ cwd: dir, env: { INFERQ_URL: stack.url } })
const batch = (...args: string[]) => runCli(['batch', ...args], options())

it('lists no batches', async () => {
  expect(await batch('list')).toMatchObject({ code: 0, stdout: '', stderr: 'inferq: no batches\n' })
})

it('lists, prints and cancels a batch whose command was interrupted', async () => {
  writeFileSync(join(dir, 'in.txt'), Array.from({ length: 40_000 }, (_, n) => `text number ${n}`).join('\n'))
  const { child, ended } = startCli(['batch', 'in.txt'], options())
  const inferq = new Inferq({ url: stack.url })
  const first = () => inferq.batches.list().then(({ data }) => data[0])
  await waitFor('the batch', async () => (await first())?.status === 'in_progress')
  child.kill('SIGINT')
  const id = (await first())?.id ?? ''
  expect((await ended).stderr).toContain(`the server continues with ${id}`)

  const list = await batch('list')
  expect([list.code, list.stdout]).toEqual([
    0,
    expect.stringMatching(new RegExp(`^ID .*\\n${id}  in_progress +[\\d,]+ +0 +40,000  \\d{4}-.*\\n$`)),
  ])
  const status = await batch('status', id)
  expect([status.code, status.stdout]).toEqual([0, expect.stringMatching(`id +${id}\\nstatus +in_progress\\n`)])

  const cancel = await batch('cancel', id)
  expect([cancel.code, cancel.stderr]).toEqual([0, expect.stringMatching(`${id} is cancell(ing|ed)\\n`)])
  await inferq.batches.wait(id)
  const listed = JSON.parse((await batch('list', '--json', '--limit', '1')).stdout) as Batch
  expect([listed.id, listed.status]).toEqual([id, 'cancelled'])
  const again = await batch('cancel', id)
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('the server responded:')])
})

it('reports an unknown id, and a missing one', async () => {
  expect(await batch('status', 'batch_nope')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no such batch'),
  })
  expect((await batch('status')).code).toBe(2)
})
