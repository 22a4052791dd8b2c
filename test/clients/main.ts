// Runs the clients of other products, unmodified, against a real stack, and writes docs/compatibility.md.
// The last line of output is "N passed, N failed".
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../src/launcher/redis-server.ts'
import { QUEUE_PREFIX } from '../../src/queue/names.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { generatePythonClient, generateTypeScriptClient, pythonWithClients } from './environment.ts'
import type { Check, Result, Target } from './node/checks.ts'
import { checkHuggingFace } from './node/huggingface-client.ts'
import { checkOpenAi } from './node/openai-client.ts'
import { checkReplicate } from './node/replicate-client.ts'
import { checkSchemathesis } from './schemathesis.ts'
import { writeTable } from './table.ts'

const KEY = 'the-secret-of-the-clients'
const MODEL = 'tiny-fp32'
const PAUSED_MODEL = 'tiny-multilabel'
const PYTHON_CHECKS = ['openai_client', 'replicate_client', 'huggingface_client', 'tei_client_checks', 'examples']

/** The name under which examples.py reports; they are no clients. */
const EXAMPLES = 'examples'

const results: Result[] = []
const say = (line: string) => console.log(line)
const dir = mkdtempSync(join(tmpdir(), 'inferq-clients-'))
const redis = new RedisServer({ binary: redisBinary(say), dir, print: say })
let stack: Stack | undefined
try {
  const redisUrl = await redis.start()
  stack = await startStack({
    redisUrl,
    apiEnv: { API_KEYS: `clients:${KEY}`, DEFAULT_MODEL: MODEL, LOG_LEVEL: 'warn', WEBHOOK_ALLOW: '127.0.0.1' },
    workerEnv: { MODELS: `${MODEL},${PAUSED_MODEL}`, LOG_LEVEL: 'warn' },
    within: 120_000,
  })
  await pauseQueues(redisUrl)
  await checkAll({ url: stack.url, key: KEY, model: MODEL, pausedModel: PAUSED_MODEL })
} catch (error) {
  console.error(error)
  record({ client: 'the run', feature: 'ends', ok: false, note: String(error) })
} finally {
  await stack?.stop()
  await redis.stop()
  rmSync(dir, { recursive: true, force: true })
}
const failed = results.filter(({ ok }) => !ok).length
console.log(`\n${results.length - failed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

/** Pauses every queue of the model whose work is to stay unfinished. */
async function pauseQueues(redisUrl: string): Promise<void> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const keys = await connection.keys(`${QUEUE_PREFIX}:${PAUSED_MODEL}*:meta`)
  const names = keys.map((key) => key.slice(QUEUE_PREFIX.length + 1, -':meta'.length))
  if (names.length < 2) throw new Error(`the queues of ${PAUSED_MODEL} do not exist: ${names.join()}`)
  for (const name of names) {
    const queue = new Queue(name, { connection, prefix: QUEUE_PREFIX })
    await queue.pause()
    await queue.close()
  }
  connection.disconnect()
}

async function checkAll(target: Target): Promise<void> {
  const document = await (await fetch(`${target.url}/openapi.json`)).text()
  const python = pythonWithClients()
  for (const name of python ? PYTHON_CHECKS : [])
    await runProgram(target, String(python), [pathOf(`python/${name}.py`)])
  if (python) {
    const client = generatePythonClient(python, document)
    await runProgram(target, python, [pathOf('python/generated_client.py'), client])
  } else say('no python3 with venv: the clients for Python are skipped, and docs/compatibility.md is not written')
  await checkOpenAi(target, checkOf(titled('openai', 'openai (Node)')))
  await checkReplicate(target, checkOf(titled('replicate', 'replicate (Node)')))
  await checkHuggingFace(target, checkOf(titled('@huggingface/inference')))
  const generated = generateTypeScriptClient(document)
  await runProgram(target, process.execPath, [generated.file], generated.title)
  // The last one: it deletes what it finds, and renews the secret of webhooks.
  if (python) record(await checkSchemathesis(target, python, say))
  if (python) writeTable(results.filter(({ client }) => client !== EXAMPLES))
}

function checkOf(client: string): Check {
  return async (feature, run) => {
    const note = await run().then(
      () => '',
      (error: unknown) => String(error).split('\n')[0]?.slice(0, 200) || 'fails',
    )
    record({ client, feature, ok: note === '', note })
  }
}

/** Runs a program that prints a result as JSON a line. @param client its name, unless the lines have one */
async function runProgram(target: Target, program: string, args: string[], client?: string): Promise<void> {
  const env = {
    ...process.env,
    INFERQ_URL: target.url,
    INFERQ_KEY: target.key,
    INFERQ_MODEL: target.model,
    INFERQ_PAUSED_MODEL: target.pausedModel,
  }
  const before = results.length
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('{')) say(line)
    else {
      const { client: named, ...result } = JSON.parse(line) as Omit<Result, 'client'> & { client?: string }
      record({ client: named ?? client ?? '', ...result })
    }
  }
  const code = await ended
  if (code !== 0 || results.length === before) {
    record({
      client: client ?? String(args[0]?.split('/').at(-1)),
      feature: 'runs',
      ok: false,
      note: `exit code ${code}`,
    })
  }
}

function record(result: Result): void {
  results.push(result)
  say(`${result.ok ? 'ok  ' : 'FAIL'} ${result.client}: ${result.feature}${result.note ? ` (${result.note})` : ''}`)
}

function titled(name: string, title = name): string {
  const manifest = pathOf(`../../node_modules/${name}/package.json`)
  return `${title} ${(JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version}`
}

function pathOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}
