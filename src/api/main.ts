// Entry point of the api process.
import { runService } from '../lifecycle.ts'
import { readApiConfig } from './config.ts'
import { ApiService } from './service.ts'

await runService('api', readApiConfig, (config, logger) => new ApiService(config, logger))
