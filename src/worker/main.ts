// The worker's process.
import { runService } from '../lifecycle.ts'
import { readWorkerConfig } from './config.ts'
import { WorkerService } from './service.ts'

await runService('worker', readWorkerConfig, (config, logger) => WorkerService.create(config, logger))
