// The worker's process.
import { SettingsError } from '../env.ts'
import { growSlowly } from '../heap.ts'
import { EXIT_CONFIG, runUntilClosed } from '../lifecycle.ts'
import { createLogger } from '../logger.ts'
import { readWorkerConfig } from './config.ts'
import { WorkerService } from './service.ts'

growSlowly()

try {
  const config = readWorkerConfig(process.env)
  const logger = createLogger('worker', config.logLevel)
  const service = WorkerService.create(config, logger)
  await runUntilClosed(service, config.shutdownGrace, logger)
} catch (error) {
  if (!(error instanceof SettingsError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = EXIT_CONFIG
}
