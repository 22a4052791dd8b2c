// Starts an api and workers as real processes from dist/, serving the tiny models.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { freePort } from '../../src/launcher/ports.ts'
import { type StartedProcess, startProcess } from './start-process.ts'
import { waitFor } from './wait-for.ts'

const pathOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
export const TINY_MODELS = pathOf('test/fixtures/models')

export interface StackOptions {
  redisUrl: string
  workers?: number
  apiEnv?: Record<string, string>
  workerEnv?: Record<string, string>
  /** The working directory of each api; default: that of the test. */
  apiDir?: () => string
  /** Milliseconds in which each process must be ready; default 30 s. */
  within?: number
}

export interface Stack {
  url: string
  api: StartedProcess
  workers: StartedProcess[]
  /** Starts one more worker; resolves when it takes jobs. */
  addWorker: (env?: Record<string, string>) => Promise<StartedProcess>
  /** Starts one more api on the same Redis and files, on a free port by default. */
  addApi: (port?: number, env?: Record<string, string>) => Promise<{ api: StartedProcess; url: string }>
  /** Directory of files and batches. */
  filesDir: string
  stop: () => Promise<void>
}

/** Resolves when the api and all workers are ready. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  const filesUrl = options.apiEnv?.['FILES_URL'] ?? pathToFileURL(filesDir).href
  const common = { REDIS_URL: options.redisUrl, LOG_LEVEL: 'debug' }
  const within = options.within === undefined ? {} : { within: options.within }
  const workers: StartedProcess[] = []
  const addWorker = async (env: Record<string, string> = {}) => {
    const port = await freePort()
    const worker = await startProcess(pathOf('dist/worker/main.js'), {
      env: {
        ...common,
        MODELS_DIR: TINY_MODELS,
        INFERENCE_PROCESSES: '1',
        MONITOR_PORT: String(port),
        ...options.workerEnv,
        ...env,
      },
      readyUrl: `http://127.0.0.1:${port}/readyz`,
      ...within,
    })
    workers.push(worker)
    return worker
  }
  const apis: StartedProcess[] = []
  const addApi = async (port?: number, env: Record<string, string> = {}) => {
    const chosen = port ?? (await freePort())
    const api = await startProcess(pathOf('dist/api/main.js'), {
      env: {
        ...common,
        PORT: String(chosen),
        DEFAULT_MODEL: 'tiny-fp32',
        ADMIN_PASSWORD: 'test-password',
        STOP_DELAY: '0s',
        FILES_URL: filesUrl,
        ...options.apiEnv,
        ...env,
      },
      ...(options.apiDir === undefined ? {} : { cwd: options.apiDir() }),
      readyUrl: `http://127.0.0.1:${chosen}/livez`,
      ...within,
    })
    apis.push(api)
    return { api, url: `http://127.0.0.1:${chosen}` }
  }
  const stop = async () => {
    await Promise.all(workers.map((worker) => worker.stop()))
    await Promise.all(apis.map((each) => each.stop()))
    rmSync(filesDir, { recursive: true, force: true })
  }
  const { api, url } = await addApi()
  try {
    await Promise.all(Array.from({ length: options.workers ?? 1 }, () => addWorker()))
    const isHealthy = async () => (await fetch(`${url}/health`)).ok
    if (workers.length > 0) await waitFor('the api to see its workers', isHealthy)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, api, workers, addWorker, addApi, filesDir, stop }
}
