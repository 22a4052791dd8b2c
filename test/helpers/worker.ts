// Worker inside a test process: the real service, with real models or those of poison-child.ts.
import { fileURLToPath } from 'node:url'
import { createLogger, type Logger } from '../../src/logger.ts'
import { readWorkerConfig, type WorkerConfig } from '../../src/worker/config.ts'
import type { InferenceProgram } from '../../src/worker/inference/inference-process.ts'
import { WorkerService } from '../../src/worker/service.ts'

/** Inference processes start from TypeScript here, which needs a loader; vitest has its own. */
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
  logger: Logger = createLogger('worker', 'silent'),
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
  return WorkerService.create({ ...config, ...more }, logger, program)
}
