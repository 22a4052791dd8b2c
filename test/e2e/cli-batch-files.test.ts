// `inferq batch` and the files on disk: it touches only its own, and a crash at any point can be resumed.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import { freePort } from '../../src/launcher/ports.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type CliOptions, runCli, startCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let dir: string

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { MAX_BATCH_LINES: '1000' } })
})
afterAll(() => stack.stop())
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq files '))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const options = (more: CliOptions = {}): CliOptions => ({
  cwd: dir,
  ...more,
  env: { INFERQ_URL: stack.url, ...more.env },
})
const batch = (args: string[], more: CliOptions = {}) => runCli(['batch', ...args], options(more))
const write = (name: string, content: string) => writeFileSync(join(dir, name), content)
const read = (name: string) => readFileSync(join(dir, name), 'utf8')
const textsOf = (name: string) =>
  read(name)
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { text: string }).text)

describe('an output that is the input', () => {
  const csv = 'id,text\n1,good\n'
  beforeEach(() => {
    write('my.csv', csv)
    mkdirSync(join(dir, 'sub'))
    symlinkSync('my.csv', join(dir, 'link.csv'))
    linkSync(join(dir, 'my.csv'), join(dir, 'hard.csv'))
  })

  it.each(['my.csv', './my.csv', 'sub/../my.csv', 'link.csv', 'hard.csv'])('is refused as %s', async (output) => {
    for (const more of [[], ['--restart']]) {
      const { code, stderr } = await batch(['my.csv', '--output', output, ...more])
      expect([code, stderr]).toEqual([1, `inferq: ${output} is the input: give another --output\n`])
    }
    expect(read('my.csv')).toBe(csv)
    expect(readdirSync(dir).sort()).toEqual(['hard.csv', 'link.csv', 'my.csv', 'sub'])
  })

  it('is refused for a redirected stdin', async () => {
    const child = spawn(
      'sh',
      ['-c', `"${process.execPath}" "${resolve('dist/cli/main.js')}" batch - --output my.csv < my.csv`],
      {
        cwd: dir,
        env: { ...process.env, INFERQ_URL: stack.url },
      },
    )
    const [code] = (await once(child, 'close')) as [number]
    expect([code, read('my.csv')]).toEqual([1, csv])
  })
})

describe('a file of the user', () => {
  beforeEach(() => write('in.txt', 'one\ntwo\n'))

  it('is neither replaced nor removed, with --restart either', async () => {
    write('precious.csv', 'precious')
    for (const more of [[], ['--restart'], ['--restart', '--model', 'nosuch']]) {
      const { code, stderr } = await batch(['in.txt', '--output', 'precious.csv', ...more])
      expect([code, stderr]).toEqual([1, expect.stringContaining('precious.csv exists and is not from inferq batch')])
      expect(stderr).not.toContain('--restart')
    }
    expect(read('precious.csv')).toBe('precious')
  })

  it('is kept when it has the name of a helper file', async () => {
    for (const name of ['out.input', 'out.partial', 'out.new', 'out.inferq.json.new']) write(name, `notes in ${name}`)
    expect((await batch(['-', '--output', 'out'], { input: 'one\n' })).code).toBe(0)
    for (const name of ['out.input', 'out.partial', 'out.new', 'out.inferq.json.new'])
      expect(read(name)).toBe(`notes in ${name}`)
    write('other.inferq.json', '{"mine": true}')
    const { code, stderr } = await batch(['in.txt', '--output', 'other', '--restart'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('is not the state of a run')])
    expect(read('other.inferq.json')).toBe('{"mine": true}')
  })

  it('is kept when it took the name of the output after the run', async () => {
    expect((await batch(['in.txt', '--output', 'out.jsonl'])).code).toBe(0)
    write('out.jsonl', 'my own notes')
    const { code, stderr } = await batch(['in.txt', '--output', 'out.jsonl', '--restart'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('out.jsonl has been changed by another program')])
    expect(read('out.jsonl')).toBe('my own notes')
  })

  it('is kept when it took the name of the output during the run', async () => {
    write('in.txt', Array.from({ length: 3_000 }, (_, n) => `text number ${n}`).join('\n'))
    const { ended } = startCli(['batch', 'in.txt', '--output', 'out.jsonl', '--top-k', '1'], options())
    await waitFor('the partial output', () => readdirSync(dir).some((name) => name.endsWith('.partial')))
    write('out.jsonl', 'my own notes')
    const { code, stderr } = await ended
    expect([code, stderr]).toEqual([1, expect.stringContaining('run the same command again')])
    expect(read('out.jsonl')).toBe('my own notes')
    rmSync(join(dir, 'out.jsonl'))
    expect((await batch(['in.txt', '--output', 'out.jsonl', '--top-k', '1'])).code).toBe(0)
    expect(textsOf('out.jsonl')).toHaveLength(3_000)
  })
})

describe('results of an earlier run', () => {
  beforeEach(async () => {
    write('in.txt', 'one\ntwo\n')
    expect((await batch(['in.txt', '--output', 'out.jsonl'])).code).toBe(0)
  })

  it.each<[string, string[], () => Promise<Record<string, string>>]>([
    ['an unknown model', ['--model', 'nosuch'], async () => ({})],
    ['a server that is away', [], async () => ({ INFERQ_URL: `http://127.0.0.1:${await freePort()}` })],
  ])('are kept by a --restart that fails: %s', async (_what, args, env) => {
    const files = readdirSync(dir).map((name) => [name, read(name)])
    expect((await batch(['in.txt', '--output', 'out.jsonl', '--restart', ...args], { env: await env() })).code).toBe(1)
    expect(readdirSync(dir).map((name) => [name, read(name)])).toEqual(files)
  })

  it('are kept by a --restart whose rows the server rejects, and stay replaceable', async () => {
    const before = read('out.jsonl')
    write('in.jsonl', '{"custom_id":"a","body":{"inputs":"x"}}\n'.repeat(2))
    const { code, stderr } = await batch(['in.jsonl', '--output', 'out.jsonl', '--restart'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('the server rejected the batch')])
    expect(read('out.jsonl')).toBe(before)
    expect((await batch(['in.txt', '--output', 'out.jsonl'])).stderr).toContain('already finished')
    write('in.txt', 'three\n')
    expect((await batch(['in.txt', '--output', 'out.jsonl', '--restart'])).code).toBe(0)
    expect(textsOf('out.jsonl')).toEqual(['three'])
    expect(readdirSync(dir).sort()).toEqual(['in.jsonl', 'in.txt', 'out.jsonl', 'out.jsonl.inferq.json'])
  })

  it('keep their permissions', async () => {
    chmodSync(join(dir, 'out.jsonl'), 0o626)
    expect((await batch(['in.txt', '--output', 'out.jsonl', '--restart'])).code).toBe(0)
    expect(statSync(join(dir, 'out.jsonl')).mode & 0o777).toBe(0o626)
    chmodSync(join(dir, 'out.jsonl'), 0o444)
    const { code, stderr } = await batch(['in.txt', '--output', 'out.jsonl', '--restart'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('out.jsonl is read-only')])
  })
})

it('writes through a link, and takes an empty file', async () => {
  write('in.txt', 'one\n')
  write('real.jsonl', '')
  symlinkSync('real.jsonl', join(dir, 'link.jsonl'))
  expect((await batch(['in.txt', '--output', 'link.jsonl'])).code).toBe(0)
  expect([lstatSync(join(dir, 'link.jsonl')).isSymbolicLink(), textsOf('real.jsonl')]).toEqual([true, ['one']])
})

it.skipIf(process.platform !== 'linux')('writes devices and named pipes as streams', async () => {
  write('in.txt', 'one\ntwo\n')
  expect(await batch(['in.txt', '--output', '/dev/null', '--restart'])).toMatchObject({ code: 0 })
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
  execFileSync('sh', ['-c', 'mkfifo pipe'], { cwd: dir })
  const reader = spawn('cat', [join(dir, 'pipe')])
  let received = ''
  reader.stdout.setEncoding('utf8').on('data', (text: string) => (received += text))
  const ended = once(reader, 'close')
  expect((await batch(['in.txt', '--output', 'pipe'])).code).toBe(0)
  await ended
  expect([received.trim().split('\n').length, readdirSync(dir).sort()]).toEqual([2, ['in.txt', 'pipe']])
})

describe.skipIf(!existsSync('/dev/full'))('a full disk', () => {
  const shell = async (command: string) => {
    const cli = `"${process.execPath}" "${resolve('dist/cli/main.js')}"`
    const child = spawn('sh', ['-c', command.replaceAll('inferq', cli)], {
      cwd: dir,
      env: { ...process.env, INFERQ_URL: stack.url },
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const [code] = (await once(child, 'close')) as [number]
    return { code, stderr }
  }

  it.each([
    'inferq predict hi > /dev/full',
    'inferq models list > /dev/full',
    'inferq --help > /dev/full',
    'printf "one\\ntwo\\n" | inferq batch - > /dev/full',
    'printf "one\\ntwo\\n" | inferq batch - --output /dev/full',
  ])('is reported: %s', async (command) => {
    expect(await shell(command)).toEqual({ code: 1, stderr: expect.stringContaining('the disk is full') })
  })

  it('is not taken for a reader that has enough', async () => {
    const { code, stderr } = await shell('{ inferq predict one two three; echo "code $?" >&2; } | head -c 1')
    expect([code, stderr]).toEqual([0, 'code 0\n'])
  })
})

describe('uploaded files', () => {
  const filesOnServer = async () => {
    const { data } = (await (await fetch(`${stack.url}/v1/files?limit=100`)).json()) as { data: { id: string }[] }
    return data.map(({ id }) => id)
  }

  it('are removed from the server after success, unless --keep is given', async () => {
    write('in.txt', 'one\n')
    const before = await filesOnServer()
    expect((await batch(['in.txt'])).code).toBe(0)
    expect(await filesOnServer()).toEqual(before)
    expect((await batch(['in.txt', '--restart', '--keep'])).code).toBe(0)
    expect((await filesOnServer()).length).toBe(before.length + 2)
  })
})

it('runs one of two equal commands, and the other one reports its result', async () => {
  write('in.txt', Array.from({ length: 300 }, (_, n) => `text number ${n}`).join('\n'))
  const both = await Promise.all([batch(['in.txt', '--top-k', '1']), batch(['in.txt', '--top-k', '1'])])
  expect(textsOf('in.txt.results.jsonl')).toHaveLength(300)
  // The second one waits for some seconds, and then finds a finished run or the lock.
  expect(both.map(({ stderr }) => stderr).join('')).toMatch(/already finished|another inferq command writes/)
  expect(both.map(({ code }) => code)).toContain(0)
})

it('ends the batch of an unfinished run that --restart replaces, and removes its files from the server', async () => {
  write('in.txt', Array.from({ length: 2_500 }, (_, n) => `text number ${n}`).join('\n'))
  const inferq = new Inferq({ url: stack.url })
  const known = new Set((await inferq.files.list({ limit: 100 })).data.map(({ id }) => id))
  const { child, ended } = startCli(['batch', 'in.txt', '--top-k', '1'], options())
  await waitFor('a batch', () => {
    const state = readdirSync(dir).find((name) => name.endsWith('.inferq.json'))
    return state !== undefined && read(state).includes('batchId')
  })
  child.kill('SIGINT')
  expect((await ended).code).toBe(130)
  write('in.txt', 'another input\n')
  expect((await batch(['in.txt', '--top-k', '1', '--restart'])).code).toBe(0)
  expect(textsOf('in.txt.results.jsonl')).toEqual(['another input'])
  const files = (await inferq.files.list({ limit: 100 })).data
  expect(files.filter(({ id }) => !known.has(id))).toEqual([])
})

describe('SIGKILL at any moment', () => {
  const texts = Array.from({ length: 2_500 }, (_, n) => `text number ${n}`)
  /** Milliseconds after the start; a whole run takes some seconds. */
  const moments = [150, 300, 450, 600, 800, 1_000, 1_300, 1_700, 2_200, 3_000]

  it.each([
    ['a file', false],
    ['a pipe', true],
  ])('loses nothing and leaves nothing: %s', { timeout: 240_000 }, async (_what, isPipe) => {
    write('in.txt', texts.join('\n'))
    const args = ['batch', isPipe ? '-' : 'in.txt', '--top-k', '1', '--output']
    const runUntil = async (output: string, moment: number) => {
      const more = isPipe ? { input: texts.join('\n') } : {}
      const { child, ended } = startCli([...args, output], options(more))
      const timer = setTimeout(() => child.kill('SIGKILL'), moment)
      const { code, stderr } = await ended
      clearTimeout(timer)
      return { code, stderr }
    }
    const survive = async (moment: number, at: number) => {
      const output = `out-${at}.jsonl`
      // Killed twice: also while it resumes.
      await runUntil(output, moment)
      await runUntil(output, moment + 5_500)
      expect(await runUntil(output, 120_000)).toEqual({ code: 0, stderr: expect.any(String) })
      expect(textsOf(output)).toEqual(texts)
    }
    const queue = [...moments.entries()]
    const worker = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await survive(next[1], next[0])
    }
    await Promise.all([worker(), worker(), worker(), worker()])
    const expected = moments.flatMap((_moment, at) => [`out-${at}.jsonl`, `out-${at}.jsonl.inferq.json`])
    expect(readdirSync(dir).sort()).toEqual([...expected, 'in.txt'].sort())
  })
})
