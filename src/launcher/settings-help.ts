// Every setting of every process, for `npm start -- --help`.
import { apiSettings } from '../api/config.ts'
import { describeTable } from '../env.ts'
import { workerSettings } from '../worker/config.ts'

/** The settings of the api and of the worker with default and meaning, one line each. */
export function describeSettings(): string {
  return [describeTable('The api', apiSettings), describeTable('A worker', workerSettings)].join('\n\n')
}
