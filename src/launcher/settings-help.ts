// Help text with all settings, for `npm start -- --help`.
import { apiSettings } from '../api/config.ts'
import { describeTable } from '../env.ts'
import { workerSettings } from '../worker/config.ts'

/** Lists the settings of the api and the worker with default and description, one per line. */
export function describeSettings(): string {
  return [describeTable('The api', apiSettings), describeTable('A worker', workerSettings)].join('\n\n')
}
