// The worker's process.
import { runService } from '../lifecycle.ts'
import { requireUsableRedis } from '../redis/usable.ts'
import { readWorkerConfig } from './config.ts'
import { WorkerService } from './service.ts'

await runService('worker', readWorkerConfig, requireUsableRedis, (config, logger) =>
  WorkerService.create(config, logger),
)
