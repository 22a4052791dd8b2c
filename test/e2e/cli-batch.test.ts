// `inferq batch`: whole files in several batches, interrupted and resumed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parse } from 'csv-parse/sync'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type CliOptions, runCli, startCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Small, so that the input of a test becomes several batches. */
const BATCH_LINES = 3_000

let redisUrl: string
let files: string
let stack: Stack
let dir: string

beforeAll(async () => {
  redisUrl = await emptyRedis()
  files = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  stack = await startStack({ redisUrl, apiEnv: apiEnv() })
})
afterAll(async () => {
  await stack.stop()
  rmSync(files, { recursive: true, force: true })
})
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-batch-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function apiEnv(): Record<string, string> {
  return { FILES_URL: `file://${files}`, MAX_BATCH_LINES: String(BATCH_LINES) }
}

const options = (more: CliOptions = {}): CliOptions => ({
  cwd: dir,
  ...more,
  env: { INFERQ_URL: stack.url, ...more.env },
})
const batch = (args: string[], more: CliOptions = {}) => runCli(['batch', ...args], options(more))
const write = (name: string, content: string | Buffer) => writeFileSync(join(dir, name), content)
const read = (name: string) => readFileSync(join(dir, name), 'utf8')
const jsonLines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row)
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `text number ${n}`)

type Row = Record<string, unknown> & { text: string; label?: string; score?: number; error?: string }

describe('formats', () => {
  it('CSV to CSV: the columns of the input, then label and score, in order', async () => {
    const cells = numbered(200).map((text, n) => (n % 3 === 0 ? `"${text}, ""quoted""\n${n}"` : text))
    write('in.csv', `\ufeffid,review\r\n${cells.map((cell, n) => `${n},${cell}\r\n`).join('')}`)
    const { code, stderr } = await batch(['in.csv', '--column', 'review', '--top-k', '1', '--output', 'out.csv'])
    expect([code, stderr]).toEqual([0, expect.stringContaining('200 rows')])
    const rows: Record<string, string>[] = parse(read('out.csv'), { columns: true })
    expect(rows.map(({ id }) => id)).toEqual(cells.map((_cell, n) => String(n)))
    expect(rows[3]).toEqual({
      id: '3',
      review: 'text number 3, "quoted"\n3',
      label: expect.stringMatching(/negative|positive/),
      score: expect.stringMatching(/^0\.\d+$/),
      error: '',
    })
  })

  it('plain lines: the same results as /predict', async () => {
    write('in.txt', 'She saw him.\n\nHer saw he.\n')
    expect((await batch(['in.txt'])).code).toBe(0)
    const rows = jsonLines(read('in.txt.results.jsonl'))
    const answers = await Promise.all(
      rows.map(async ({ text }) => (await fetch(`${stack.url}/predict?text=${encodeURIComponent(text)}`)).json()),
    )
    expect(rows.map(({ text }) => text)).toEqual(['She saw him.', 'Her saw he.'])
    rows.forEach(({ label, scores }, at) => {
      const answer = answers[at] as { label: string; score: number }[]
      expect(label).toBe(answer[0]?.label)
      expect((scores as { score: number }[])[0]?.score).toBeCloseTo(answer[0]?.score ?? 0, 4)
    })
  })

  it('JSONL of objects keeps their keys; a row that fails has its error, and the exit code is 1', async () => {
    write('in.jsonl', '{"text":"fine","id":7}\n{"text":"","id":8}\n{"text":"also fine","id":9}\n')
    const { code, stderr } = await batch(['in.jsonl'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('1 row failed')])
    const rows = jsonLines(read('in.jsonl.results.jsonl'))
    expect(rows.map(({ id, label, error }) => [id, typeof label, typeof error])).toEqual([
      [7, 'string', 'undefined'],
      [8, 'undefined', 'string'],
      [9, 'string', 'undefined'],
    ])
  })

  it("OpenAI's batch lines become OpenAI's result lines", async () => {
    const line = (id: string, body: object) => JSON.stringify({ custom_id: id, method: 'POST', url: '/predict', body })
    write('in.jsonl', [line('b', { inputs: 'x' }), line('a', { inputs: 'x', model: 'nope' })].join('\n'))
    expect((await batch(['in.jsonl', '--output', 'out.jsonl'])).code).toBe(1)
    expect(jsonLines(read('out.jsonl'))).toMatchObject([
      { custom_id: 'b', response: { status_code: 200 }, error: null },
      { custom_id: 'a', response: { body: { error: { message: expect.stringContaining('no such model') } } } },
    ])
  })

  it('pairs', async () => {
    write('in.csv', 'text,b\nIt rains.,It is wet.\n')
    const { code, stderr } = await batch(['in.csv', '--pair-column', 'b', '--model', 'TINY-pairs'])
    expect([code, stderr]).toEqual([0, expect.stringMatching(/inferq: 1 row( |\n)/)])
    expect(jsonLines(read('in.csv.results.jsonl'))[0]?.label).toMatch(/entailment|neutral|contradiction/)
  })

  it('a pipe, to stdout or to a file', async () => {
    const { code, stdout, stderr } = await batch(['-', '--top-k', '1'], { input: 'one\r\n\r\ntwo' })
    expect([code, stderr]).toEqual([0, expect.stringContaining('2 rows')])
    expect(jsonLines(stdout).map(({ text }) => text)).toEqual(['one', 'two'])
    expect((await batch(['--input', '-', '--output', 'out.jsonl'], { input: 'one\ntwo' })).code).toBe(0)
    expect(jsonLines(read('out.jsonl'))).toHaveLength(2)
  })
})

it('splits a file that is too large for one batch, and keeps its order', async () => {
  const texts = numbered(2 * BATCH_LINES + 500)
  write('in.txt', texts.join('\n'))
  expect((await batch(['in.txt', '--top-k', '1'])).code).toBe(0)
  expect(jsonLines(read('in.txt.results.jsonl')).map(({ text }) => text)).toEqual(texts)
})

it('reports a finished run, and starts over with --restart', async () => {
  write('in.txt', 'one\ntwo\n')
  await batch(['in.txt'])
  const first = read('in.txt.results.jsonl')
  const again = await batch(['in.txt'])
  expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/already finished on .*: 2 rows/)])
  utimesSync(join(dir, 'in.txt'), 1, 1)
  expect((await batch(['in.txt'])).stderr).toContain('already finished')
  expect((await batch(['in.txt', '--restart'])).stderr).not.toContain('already finished')
  expect(read('in.txt.results.jsonl')).toBe(first)
})

describe('resumes', { timeout: 120_000 }, () => {
  const texts = numbered(3 * BATCH_LINES)
  /** The rows so far: of the partial file until all are there. */
  const rows = () => {
    const names = readdirSync(dir).filter((name) => /^in\.txt\.results\.jsonl(\.[0-9a-f]{8}\.partial)?$/.test(name))
    return names.flatMap((name) => jsonLines(read(name).replace(/[^\n]+$/, '')))
  }
  const started = () => {
    const cli = startCli(['batch', 'in.txt', '--top-k', '1'], options())
    return { ...cli, someRows: () => waitFor('some rows', () => rows().length > 0, { within: 60_000 }) }
  }
  beforeEach(() => write('in.txt', texts.join('\n')))

  it('after SIGINT: every row once and in order', async () => {
    const { child, someRows, ended } = started()
    await someRows()
    child.kill('SIGINT')
    const { code, stderr } = await ended
    expect(code).toBe(130)
    expect(stderr).toMatch(
      /stopped after [\d,]+ of 9,000 rows \(in in\.txt\S+\.partial\); the server continues with batch_/,
    )
    expect(rows().length).toBeLessThan(texts.length)
    const again = await batch(['in.txt', '--top-k', '1'])
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('resuming after row')])
    expect(rows().map(({ text }) => text)).toEqual(texts)
  })

  it('after SIGKILL, with an incomplete line in the output', async () => {
    const { child, someRows, ended } = started()
    await someRows()
    child.kill('SIGKILL')
    await ended
    const partial = readdirSync(dir).find((name) => name.endsWith('.partial')) ?? ''
    writeFileSync(join(dir, partial), '{"text":"half a li', { flag: 'a' })
    expect((await batch(['in.txt', '--top-k', '1'])).code).toBe(0)
    expect(rows().map(({ text }) => text)).toEqual(texts)
  })

  it('after a restart of the server, in the same run', async () => {
    const port = await freePort()
    const startApi = () =>
      startProcess(resolve('dist/api/main.js'), {
        env: { ...apiEnv(), REDIS_URL: redisUrl, PORT: String(port), DEFAULT_MODEL: 'tiny-fp32' },
        readyUrl: `http://127.0.0.1:${port}/livez`,
      })
    let api = await startApi()
    const cli = startCli(
      ['batch', 'in.txt', '--top-k', '1'],
      options({ env: { INFERQ_URL: `http://127.0.0.1:${port}` } }),
    )
    await waitFor('some rows', () => rows().length > 0, { within: 60_000 })
    // The batch would end while the api stops.
    for (const { child } of stack.workers) child.kill('SIGSTOP')
    await api.stop()
    await waitFor('the note of the outage', () => cli.output.stderr.includes('retrying for up to'), { within: 30_000 })
    for (const { child } of stack.workers) child.kill('SIGCONT')
    api = await startApi()
    expect((await cli.ended).code).toBe(0)
    expect(rows().map(({ text }) => text)).toEqual(texts)
    await api.stop()
  })

  it('not to the end when the input is changed during the run', async () => {
    const { someRows, ended } = started()
    await someRows()
    writeFileSync(join(dir, 'in.txt'), 'one more line\n', { flag: 'a' })
    const { code, stderr } = await ended
    expect([code, stderr]).toEqual([1, expect.stringContaining('in.txt has been changed during the run')])
    expect(readdirSync(dir)).not.toContain('in.txt.results.jsonl')
  })

  it('neither with another input nor with other options', async () => {
    const { child, someRows, ended } = started()
    await someRows()
    child.kill('SIGINT')
    await ended
    const before = rows()
    const others = await batch(['in.txt', '--top-k', '2'])
    expect([others.code, others.stderr]).toEqual([1, expect.stringContaining('unfinished run with other options')])
    write('in.txt', 'something else')
    const another = await batch(['in.txt', '--top-k', '1'])
    expect([another.code, another.stderr]).toEqual([1, expect.stringContaining('unfinished run with another input')])
    expect(rows()).toEqual(before)
  })
})

describe('reports the error and leaves no files for', () => {
  const failing = async (args: string[], more: CliOptions = {}) => {
    const { code, stderr } = await batch([...args, '--output', 'out.jsonl'], more)
    expect(() => read('out.jsonl')).toThrow('ENOENT')
    expect(() => read('out.jsonl.inferq.json')).toThrow('ENOENT')
    expect(stderr).not.toMatch(/\n {4}at /)
    return { code, stderr }
  }

  it.each([
    ['an unknown column', 'in.csv', 'id,text\n1,a\n', ['--column', 'nope'], 2, 'the columns are "id", "text"'],
    ['a malformed line', 'in.jsonl', '{"text":"a"}\n{"text":\n', [], 1, 'line 2 is not JSON'],
    ['an unknown model', 'in.txt', 'a\n', ['--model', 'nope'], 1, 'served models: tiny-fp32, tiny-multilabel'],
    ['an unknown file extension', 'in.dat', 'a\n', [], 2, 'give --format'],
    ['an empty file', 'in.txt', '', [], 1, 'is empty'],
    ['a zip', 'in.csv', 'PK\u0003\u0004', [], 1, 'unpack it'],
    [
      'a duplicate id',
      'in.jsonl',
      '{"custom_id":"a","body":{"inputs":"x"}}\n'.repeat(2),
      [],
      1,
      'row 2: Line 1 has the same custom_id',
    ],
  ])('%s', async (_what, name, content, args, code, message) => {
    write(name, content)
    expect(await failing([name, ...args])).toEqual({ code, stderr: expect.stringContaining(message) })
  })

  it('a missing file', async () => {
    expect(await failing(['nope.csv'])).toEqual({
      code: 1,
      stderr: 'inferq: nope.csv: no such file or folder\n',
    })
  })

  it('a server that does not answer', async () => {
    write('in.txt', 'a\n')
    const { code, stderr } = await failing(['in.txt'], { env: { INFERQ_URL: `http://127.0.0.1:${await freePort()}` } })
    expect([code, stderr]).toEqual([1, expect.stringContaining('does not answer (ECONNREFUSED)')])
  })

  it('an output that is not from a run', async () => {
    write('in.txt', 'a\n')
    write('mine.csv', 'precious')
    const { code, stderr } = await batch(['in.txt', '--output', 'mine.csv'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('mine.csv exists')])
    expect(read('mine.csv')).toBe('precious')
  })
})
