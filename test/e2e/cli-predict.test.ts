// `inferq predict`: arguments, pipes and error messages.
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type CliOptions, runCli, startCli } from '../helpers/run-cli.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let withKeys: Stack

beforeAll(async () => {
  const redisUrl = await emptyRedis()
  stack = await startStack({ redisUrl })
  // The same workers with an api that requires an API key.
  withKeys = await startStack({ redisUrl, workers: 0, apiEnv: { API_KEYS: 'me:the-secret-of-me' } })
})
afterAll(async () => {
  await withKeys.stop()
  await stack.stop()
})

const predict = (args: string[], options: CliOptions = {}) =>
  runCli(['predict', ...args], { ...options, env: { INFERQ_URL: stack.url, ...options.env } })
const rowsOf = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { text: string; label?: string; scores?: unknown[]; error?: string })

it('classifies arguments, with the labels of the server', async () => {
  const { code, stdout, stderr } = await predict(['She saw him.', 'Her saw he.'])
  const answer: unknown = await (await fetch(`${stack.url}/predict?text=She%20saw%20him.`)).json()
  expect([code, stderr]).toEqual([0, ''])
  expect(rowsOf(stdout).map(({ text }) => text)).toEqual(['She saw him.', 'Her saw he.'])
  expect(rowsOf(stdout)[0]?.scores).toEqual(answer)
})

it('accepts a model, a top-k and a function', async () => {
  const args = ['--model', 'tiny-multilabel', '--top-k', '1', '--function', 'none', 'text']
  const [row] = rowsOf((await predict(args)).stdout)
  expect(row).toEqual({ text: 'text', label: expect.any(String), score: expect.any(Number) })
})

it('classifies a thousand lines in order, with CRLF and blank lines', async () => {
  const texts = Array.from({ length: 1_000 }, (_, n) => `text number ${n}${' and more'.repeat(n % 9)}`)
  const { code, stdout } = await predict(['--top-k', '1'], { input: texts.join('\r\n\r\n') })
  expect(code).toBe(0)
  expect(rowsOf(stdout).map(({ text }) => text)).toEqual(texts)
})

it('classifies a line as it arrives, before the pipe ends', async () => {
  const { child, output, ended } = startCli(['predict'], { env: { INFERQ_URL: stack.url } })
  child.stdin.write('first\n')
  await waitFor('the first result', () => rowsOf(output.stdout).length === 1)
  child.stdin.write('second\n')
  await waitFor('the second result', () => rowsOf(output.stdout).length === 2)
  child.stdin.end()
  expect((await ended).code).toBe(0)
})

it('exits with 130 on SIGINT', async () => {
  const { child, output, ended } = startCli(['predict'], { env: { INFERQ_URL: stack.url } })
  child.stdin.write('first\n')
  await waitFor('the first result', () => output.stdout.includes('\n'))
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 130, stderr: '' })
})

it('prints the error of a text that fails and the results of the others, and exits with 1', async () => {
  const { code, stdout, stderr } = await predict([], { input: `fine\n${'x'.repeat(100_001)}\nfine too\n` })
  expect(rowsOf(stdout).map(({ error }) => error)).toEqual([undefined, 'is longer than 100000 characters', undefined])
  expect([code, stderr]).toEqual([1, 'inferq: one text failed\n'])
})

it('splits texts that exceed the size of one request', async () => {
  const texts = Array.from({ length: 64 }, (_, n) => `${n} ${'word '.repeat(10_000)}`.trim())
  const { code, stdout } = await predict(['--top-k', '1'], { input: texts.join('\n') })
  expect([code, rowsOf(stdout).length]).toEqual([0, 64])
})

it('sends an API key from the environment or an option', async () => {
  const url = { INFERQ_URL: withKeys.url }
  const without = await predict(['a'], { env: url })
  expect([without.code, without.stderr]).toEqual([
    1,
    expect.stringMatching(/requires an API key .*--key or set INFERQ_API_KEY/),
  ])
  expect((await predict(['a'], { env: { ...url, INFERQ_API_KEY: 'the-secret-of-me' } })).code).toBe(0)
  expect((await predict(['a', '--key', 'the-secret-of-me'], { env: url })).code).toBe(0)
})

it('takes a key in the URL, and prints no part of it', async () => {
  const withKey = withKeys.url.replace('//', '//the-secret-of-me@')
  expect((await predict(['a'], { env: { INFERQ_URL: withKey } })).code).toBe(0)
  for (const url of [
    `http://bob:secret@127.0.0.1:${await freePort()}`,
    'http://bob:secret@',
    'ftp://bob:secret@host',
  ]) {
    const { code, stderr } = await predict(['a', '--url', url])
    expect(code).not.toBe(0)
    expect(stderr).not.toContain('secret')
  }
})

describe('a proxy of the environment', () => {
  it('is used, except for this machine and NO_PROXY', async () => {
    const seen: string[] = []
    // Without API keys, the server refuses hosts that it does not know.
    const target = new URL(withKeys.url)
    const url = 'http://the-secret-of-me@inferq.invalid'
    const proxy = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`)
      const headers = { ...request.headers, host: target.host }
      const path = new URL(request.url ?? '', target).pathname
      const forwarded = httpRequest({ port: target.port, path, method: request.method ?? 'GET', headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      request.pipe(forwarded)
    })
    proxy.on('connect', (request, socket: Socket) => {
      seen.push(`CONNECT ${request.url}`)
      const forwarded = connect(Number(target.port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(forwarded).pipe(socket)
      })
    })
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
    const http_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const { code, stderr } = await predict(['a'], { env: { INFERQ_URL: url, http_proxy } })
    expect([code, stderr]).toEqual([0, ''])
    expect(seen).toEqual([expect.stringContaining('inferq.invalid')])
    expect((await predict(['a'], { env: { http_proxy } })).code).toBe(0)
    const without = { INFERQ_URL: url, http_proxy, no_proxy: 'inferq.invalid' }
    expect((await predict(['a'], { env: without })).stderr).toContain('http://inferq.invalid does not answer')
    expect(seen).toHaveLength(1)
    proxy.closeAllConnections()
    proxy.close()
  })
})

describe('prints one line without a stack for', () => {
  it('an unknown model, with the served ones', async () => {
    const { code, stderr } = await predict(['--model', 'nope', 'a'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^inferq: the server responded: no such model; served are .*tiny-fp32.*\n$/)
  })

  it('a server that does not answer', async () => {
    const { code, stderr } = await predict(['a'], { env: { INFERQ_URL: `http://127.0.0.1:${await freePort()}` } })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^inferq: .* does not answer \(ECONNREFUSED\)\. Is inferq running there\? .*\n$/)
  })

  it('another program on the port', async () => {
    const { code, stderr } = await predict(['a'], { env: { INFERQ_URL: `${stack.url}/docs` } })
    expect([code, stderr.split('\n').length]).toEqual([1, 2])
  })

  it('invalid UTF-8', async () => {
    const { code, stderr } = await predict([], { input: Buffer.from([0x61, 0x0a, 0xff, 0x0a]) })
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^inferq: not UTF-8 text .*\n$/)])
  })
})

it.each([
  ['an unknown option', ['predict', '--bogus'], /unknown option '--bogus'/],
  ['an unknown command', ['predcit'], /unknown command 'predcit'[^]*Did you mean predict/],
  ['an invalid number', ['predict', '--top-k', 'many', 'a'], /must be a whole number of at least 1/],
  ['an empty text', ['predict', ' '], /a text is empty/],
  ['an invalid URL', ['predict', '--url', 'localhost:8000', 'a'], /is not a URL such as/],
  ['no command', [], /Usage: inferq/],
  ['no file', ['batch'], /give exactly one FILE/],
])('exits with 2 for %s', async (_what, args, message) => {
  const { code, stderr } = await runCli(args)
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)])
})

it.each([
  [['--help'], /Examples:[^]*inferq batch/],
  [['batch', '--help'], /--column[^]*Examples:/],
  [['models', 'add', '--help'], /--force/],
  [['--version'], /^\d+\.\d+\.\d+\n$/],
])('%j prints help', async (args, text) => {
  const { code, stdout } = await runCli(args)
  expect([code, stdout]).toEqual([0, expect.stringMatching(text)])
})
