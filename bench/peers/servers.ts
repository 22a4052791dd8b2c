// The servers that are measured beside inferq: each with the same model file, two processes for the model, and one thread in
// each.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/launcher/ports.ts'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../src/launcher/redis-server.ts'
import { waitFor } from '../../test/helpers/wait-for.ts'
import type { BenchModel } from '../models.ts'
import type { Bench } from '../question.ts'
import { withStack } from '../stack.ts'
import { pythonPrograms } from './environment.ts'

export interface Server {
  name: string
  /** Starts it, calls `use` with its URL, and stops it. */
  with: <T>(bench: Bench, model: BenchModel, use: (server: { url: string }) => Promise<T>) => Promise<T>
}

interface Program {
  /** A program of the virtual environment, or `node`. */
  command: string
  args: string[]
}

const PROCESSES = 2
const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const uvicorn = (app: string, workers: number, port: number): Program => ({
  command: 'uvicorn',
  args: [app, '--port', String(port), '--workers', String(workers), '--no-access-log', '--log-level', 'warning'],
})
const celeryArgs = ['--app', 'celery_tasks', 'worker', '--concurrency', String(PROCESSES), '--loglevel', 'WARNING']
const bullmqWorker: Program = { command: 'node', args: [folder('bullmq/worker.mjs')] }

export const servers: Server[] = [
  { name: 'inferq', with: (bench, model, use) => withStack(bench, [model], use) },
  { name: 'FastAPI, 2 processes', with: peer((port) => [uvicorn('fastapi_app:app', PROCESSES, port)]) },
  {
    name: 'FastAPI + Celery, 2 processes',
    with: peer((port) => [{ command: 'celery', args: celeryArgs }, uvicorn('celery_app:app', 1, port)]),
  },
  {
    name: 'Express + BullMQ, 2 workers',
    with: peer(() => [bullmqWorker, bullmqWorker, { command: 'node', args: [folder('bullmq/api.mjs')] }]),
  },
]

function peer(programsAt: (port: number) => Program[]): Server['with'] {
  return async (bench, model, use) => {
    const bin = pythonPrograms(bench.say)
    const dir = mkdtempSync(join(tmpdir(), 'inferq-peer-'))
    const redis = new RedisServer({ binary: redisBinary(bench.say), dir, print: bench.say })
    const children: ChildProcess[] = []
    const output: string[] = []
    try {
      const port = await freePort()
      const env = {
        ...process.env,
        PATH: `${bin}:${process.env['PATH']}`,
        PYTHONPATH: folder('python'),
        PYTHONDONTWRITEBYTECODE: '1',
        OMP_NUM_THREADS: '1',
        TOKENIZERS_PARALLELISM: 'false',
        NODE_ENV: 'production',
        MODEL: model.dir,
        PORT: String(port),
        REDIS_URL: await redis.start(),
      }
      for (const { command, args } of programsAt(port)) {
        // A group of its own, because some of them have children.
        const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => output.push(String(data)))
        child.on('error', (error) => output.push(error.message))
        children.push(child)
      }
      const url = `http://127.0.0.1:${port}`
      await waitFor('an answer', async () => (await fetch(`${url}/predict?text=ready`)).ok, {
        within: 60_000,
        every: 200,
      })
      return await use({ url })
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${output.join('').slice(-2_000)}`, { cause: error })
    } finally {
      await Promise.all(children.map(stop))
      await redis.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const ended = child.exitCode !== null || once(child, 'exit')
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    return
  }
  await ended
}
