// Entry point of the api process.
import { runService } from '../lifecycle.ts'
import { requireUsableRedis } from '../redis/usable.ts'
import { readApiConfig } from './config.ts'
import { ApiService } from './service.ts'

await runService('api', readApiConfig, requireUsableRedis, (config, logger) => new ApiService(config, logger))
