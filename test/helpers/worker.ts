// A worker inside a test: the real service, with models that do as they are told (poison-child.ts) or with real ones.
import { fileURLToPath } from 'node:url'
import { createLogger } from '../../src/logger.ts'
import { readWorkerConfig, type WorkerConfig } from '../../src/worker/config.ts'
import { WorkerService } from '../../src/worker/service.ts'
import type { InferenceProgram } from '../../src/worker/inference/inference-process.ts'

/** From the sources, the processes that a worker starts need the loader that vitest brings along for itself. */
const execArgv = ['--import', 'tsx']
export const standIn: InferenceProgram = { module: new URL('./poison-child.ts', import.meta.url), execArgv }
export const realModel: InferenceProgram = {
  module: new URL('../../src/worker/inference/main.ts', import.meta.url),
  execArgv,
}

export const TINY_MODELS = fileURLToPath(new URL('../fixtures/models', import.meta.url))

export function createWorker(
  redisUrl: string,
  program: InferenceProgram,
  more: Partial<WorkerConfig> = {},
): WorkerService {
  const config = readWorkerConfig({
    REDIS_URL: redisUrl,
    MODELS_DIR: TINY_MODELS,
    MODELS: 'tiny-fp32',
    INFERENCE_PROCESSES: '1',
    MONITOR_PORT: '0',
    MONITOR_HOST: '127.0.0.1',
    LOG_LEVEL: 'silent',
  })
  return WorkerService.create({ ...config, ...more }, createLogger('worker', 'silent'), program)
}
