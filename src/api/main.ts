// The api process: settings, service, until it is told to stop.
import { SettingsError } from '../env.ts'
import { messageOf } from '../errors.ts'
import { growSlowly } from '../heap.ts'
import { EXIT_CONFIG, runUntilClosed } from '../lifecycle.ts'
import { createLogger } from '../logger.ts'
import { readApiConfig } from './config.ts'
import { ApiService } from './service.ts'

growSlowly()

try {
  const config = readApiConfig(process.env)
  const logger = createLogger('api', config.logLevel)
  await runUntilClosed(new ApiService(config, logger), config.shutdownGrace, logger)
} catch (error) {
  process.stderr.write(`inferq api: ${messageOf(error)}\n`)
  process.exitCode = error instanceof SettingsError ? EXIT_CONFIG : 1
}
