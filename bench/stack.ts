// The measured stack: a private Redis, a worker and an api as real processes from dist/, on ports of 127.0.0.1.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { messageOf } from '../src/errors.ts'
import { freePort } from '../src/launcher/ports.ts'
import { redisBinary } from '../src/launcher/redis-binary.ts'
import { RedisServer } from '../src/launcher/redis-server.ts'
import { type StartedProcess, startProcess } from '../test/helpers/start-process.ts'
import type { BenchModel } from './models.ts'
import type { Bench } from './question.ts'

export interface Stack {
  url: string
  redisUrl: string
  apiPid: number
  /** The worker's main process; its inference processes are its children. */
  workerPid: number
  /** From the start of the process until /readyz returns 200. */
  readyMs: { api: number; worker: number }
}

export interface StackOptions {
  /** Additional settings of the api, and of the workers. */
  apiEnv?: Record<string, string>
  workerEnv?: Record<string, string>
  /** The number of workers; default: one. */
  workers?: number
}

/** Output lines that are shown when a process ends unexpectedly. */
const LAST_LINES = 12

const program = (name: string) => fileURLToPath(new URL(`../dist/${name}/main.js`, import.meta.url))

/** Starts all processes with default settings, serving these models, and stops them after `use`. */
export async function withStack<T>(
  { say }: Bench,
  models: BenchModel[],
  use: (stack: Stack) => Promise<T>,
  { apiEnv = {}, workerEnv = {}, workers = 1 }: StackOptions = {},
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-bench-'))
  const redis = new RedisServer({ binary: redisBinary(say), dir: join(dir, 'redis'), print: say })
  const started: StartedProcess[] = []
  try {
    const redisUrl = await redis.start()
    const modelsDir = folderOf(models, join(dir, 'models'))
    const start = async (name: string, port: number, env: Record<string, string>) => {
      const began = performance.now()
      const readyUrl = `http://127.0.0.1:${port}/readyz`
      const process = await startProcess(program(name), { env: { REDIS_URL: redisUrl, ...env }, readyUrl })
      started.push(process)
      return { pid: process.child.pid as number, ms: performance.now() - began }
    }
    const startWorker = async () => {
      const monitorPort = await freePort()
      const env = { MODELS_DIR: modelsDir, MONITOR_PORT: String(monitorPort), MONITOR_HOST: '127.0.0.1', ...workerEnv }
      return start('worker', monitorPort, env)
    }
    const worker = await startWorker()
    for (let more = 1; more < workers; more += 1) await startWorker()
    const port = await freePort()
    const api = await start('api', port, {
      HOST: '127.0.0.1',
      PORT: String(port),
      DEFAULT_MODEL: nameOfFirst(models),
      FILES_URL: pathToFileURL(join(dir, 'files')).href,
      ...apiEnv,
    })
    return await use({
      url: `http://127.0.0.1:${port}`,
      redisUrl,
      apiPid: api.pid,
      workerPid: worker.pid,
      readyMs: { api: api.ms, worker: worker.ms },
    })
  } catch (error) {
    const ended = started.flatMap(({ child, lines }) => (child.exitCode === null ? [] : lines.slice(-LAST_LINES)))
    throw ended.length === 0 ? error : new Error(`${messageOf(error)}\n${ended.join('\n')}`, { cause: error })
  } finally {
    for (const process of started.toReversed()) await process.stop()
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Creates a models folder with links to these models. */
function folderOf(models: BenchModel[], dir: string): string {
  mkdirSync(dir)
  for (const { name, dir: target } of models) symlinkSync(target, join(dir, name))
  return dir
}

function nameOfFirst([first]: BenchModel[]): string {
  if (!first) throw new Error('a stack needs a model')
  return first.name
}
