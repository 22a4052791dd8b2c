// `inferq batch list`, `show`, `cancel` and `follow`, and the deadline of a batch.
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

  expect(await batch('show', id, '--json')).toMatchObject({ code: 0, stdout: expect.stringContaining(`"id":"${id}"`) })

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

it('follows a batch to its end, from any row', async () => {
  const inferq = new Inferq({ url: stack.url })
  const lines = ['a', '', 'c'].map((inputs, at) => `${JSON.stringify({ custom_id: String(at), body: { inputs } })}\n`)
  const file = await inferq.files.create({ filename: 'in.jsonl', content: new Blob(lines) })
  const { id } = await inferq.batches.create({ inputFileId: file.id })
  const all = await batch('follow', id)
  const ids = all.stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id)
  expect(ids).toEqual(['0', '1', '2'])
  expect([all.code, all.stderr]).toEqual([1, `inferq: ${id} is completed: 3 rows, 1 failed\n`])
  const rest = await batch('follow', id, '--after', '2')
  expect([rest.code, rest.stdout.split('\n').length]).toEqual([0, 2])
})

it('states why a followed batch has no rows', async () => {
  const inferq = new Inferq({ url: stack.url })
  const file = await inferq.files.create({ filename: 'in.jsonl', content: new Blob(['not JSON\n']) })
  const { id } = await inferq.batches.create({ inputFileId: file.id })
  const { code, stderr } = await batch('follow', id)
  expect([code, stderr]).toEqual([1, expect.stringMatching(/rejected the batch .*\n +row 1: .*JSON/)])
})

it('gives a batch its deadline, and refuses one that cannot be met or has passed', async () => {
  writeFileSync(join(dir, 'few.txt'), 'a\nb\n')
  expect(await batch('few.txt', '--complete-by', '2h', '--keep')).toMatchObject({ code: 0 })
  const [{ complete_by: end, created_at: created }] = (await new Inferq({ url: stack.url }).batches.list()).data as [
    Batch,
  ]
  expect(Math.abs(Number(end) - created - 7_200)).toBeLessThan(60)
  const passed = await batch('few.txt', '--complete-by', '2020-01-01')
  expect([passed.code, passed.stderr]).toEqual([2, expect.stringContaining('It has passed.')])
})
