// The examples in JavaScript and for the shell, as their readers run them. test/browser has that of a page, test/clients has
// those in Python, and test/compose that of containers.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEY = 'the-secret-of-the-examples'
let stack: Stack
let dir: string
let inferq: Inferq
const started: StartedProcess[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-examples-'))
  const apiEnv = { API_KEYS: `examples:${KEY}`, WEBHOOK_ALLOW: '127.0.0.1' }
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv })
  inferq = new Inferq({ url: stack.url, key: KEY })
})
afterAll(async () => {
  await Promise.all(started.map((each) => each.stop()))
  await stack?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const env = () => ({ INFERQ_URL: stack.url, INFERQ_API_KEY: KEY })

/** @returns what the example prints. */
function run(name: string, ...args: string[]): string {
  const [program, ...first] = name.endsWith('.sh') ? ['bash'] : [process.execPath]
  const options = { encoding: 'utf8', env: { ...process.env, ...env() }, timeout: 50_000 } as const
  const { status, stdout, stderr } = spawnSync(program ?? '', [...first, resolve('examples', name), ...args], options)
  expect([status, stderr]).toEqual([0, ''])
  return stdout
}

/** Starts an example that serves. @returns the address that it prints. */
async function serve(name: string): Promise<{ url: string; lines: string[] }> {
  const isListening = (line: string) => line.startsWith('listening on ')
  const child = await startProcess(resolve('examples', name), { env: { ...env(), PORT: '0' }, readyLine: isListening })
  started.push(child)
  return { url: child.lines.find(isListening)?.split(' ').at(-1) ?? '', lines: child.lines }
}

const written = (name: string, content: string): string => {
  writeFileSync(join(dir, name), content)
  return join(dir, name)
}

it('lists every example', () => {
  const table = readFileSync('examples/README.md', 'utf8')
  const files = readdirSync('examples').filter((name) => name !== 'README.md')
  expect(files.filter((name) => !table.includes(`| [${name}](${name}) |`))).toEqual([])
})

it('service.mjs labels comments, and answers refusals', async () => {
  const { url } = await serve('service.mjs')
  const comment = async (body: object) => {
    const headers = { 'Content-Type': 'application/json' }
    const response = await fetch(`${url}/comments`, { method: 'POST', headers, body: JSON.stringify(body) })
    return [response.status, await response.json()]
  }
  expect(await comment({ text: 'She saw him.' })).toEqual([
    200,
    { label: expect.any(String), score: expect.any(Number) },
  ])
  expect(await comment({ text: '' })).toEqual([422, { error: expect.stringContaining('empty') }])
  expect(await comment({})).toMatchObject([422, { error: expect.any(String) }])
})

it('csv.mjs adds the label of a column', () => {
  const csv = run('csv.mjs', written('reviews.csv', 'id,review\n1,"A moving, funny film."\n2,\n'), 'review')
  const [header, first, second] = csv.split('\n')
  expect(header).toBe('id,review,label,score,error')
  expect(first).toMatch(/^1,"A moving, funny film\.",(?:positive|negative),0\.\d+,$/)
  expect(second).toMatch(/^2,,,,.*empty/)
})

it('nightly-batch.mjs writes the results, and continues with the same batch', async () => {
  const input = written('texts.txt', 'She saw him.\n\nHer saw he.\n')
  const output = join(dir, 'labels.jsonl')
  expect(run('nightly-batch.mjs', input, output)).toBe('completed: 2 of 2 lines, 0 failed\n')
  const lines = readFileSync(output, 'utf8').trim().split('\n')
  expect(lines.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id)).toEqual(['line-0', 'line-1'])
  const before = (await inferq.batches.list()).data.length
  run('nightly-batch.mjs', input, output)
  expect((await inferq.batches.list()).data).toHaveLength(before)
})

it('events.mjs prints the scores, and ends', () => {
  expect(run('events.mjs', 'She saw him.')).toMatch(/started\n0\.\d{4} {2}\w+\n0\.\d{4} {2}\w+\ndone\n$/)
})

it('webhook-receiver.mjs takes what is authentic, once', async () => {
  const { url, lines } = await serve('webhook-receiver.mjs')
  const { id } = await inferq.predictions.create('She saw him.', { webhook: url })
  await waitFor('the webhook', () => lines.some((line) => line.startsWith(`${id} succeeded: [{"label"`)))
  const headers = {
    'Content-Type': 'application/json',
    'webhook-id': 'x',
    'webhook-timestamp': '1',
    'webhook-signature': 'v1,x',
  }
  const forged = await fetch(url, { method: 'POST', headers, body: '{}' })
  expect([forged.status, await forged.text()]).toEqual([400, 'webhook-timestamp is older than 300 s'])
})

it('curl.sh prints labels and a status', () => {
  expect(run('curl.sh')).toMatch(/^\w+\n\w+\n\w+\nsucceeded\n$/)
})
