// `inferq models list`: models of the server, or else of the models folder.
import { join } from 'node:path'
import type { Inferq } from '../../client/client.ts'
import { ConnectionError } from '../../client/errors.ts'
import type { ModelInfo } from '../../client/types.ts'
import { readRegistry } from '../../worker/models/registry.ts'
import { EXIT } from '../failure.ts'
import { bytesText } from '../format.ts'
import { tableText } from '../table.ts'
import { oneLine, print, report, type Terminal, widthOf } from '../terminal.ts'

export interface ListFlags {
  modelsDir: string
  json?: boolean | undefined
}

export async function listModels(inferq: Inferq, { modelsDir, json }: ListFlags, terminal: Terminal): Promise<number> {
  const models: Listed[] = await inferq.models.list(terminal.signal).catch((error: unknown) => {
    if (!(error instanceof ConnectionError)) throw error
    report(terminal, `${error.message}; listing the models in ${modelsDir}`)
    return modelsIn(modelsDir)
  })
  if (json) await print(terminal.stdout, models.map((model) => `${JSON.stringify(model)}\n`).join(''))
  else if (models.length === 0) report(terminal, 'no models')
  else await print(terminal.stdout, table(models, widthOf(terminal.stdout)))
  return EXIT.ok
}

/** `in_folder`: a valid model of the folder, which may have no worker. */
type Listed = Omit<ModelInfo, 'state'> & { state: ModelInfo['state'] | 'in_folder' }

async function modelsIn(dir: string): Promise<Listed[]> {
  const noHub = () => Promise.reject(new Error('the list contains no models of the Hub'))
  const { models, refused } = await readRegistry(dir.split(','), [], noHub)
  const valid = models.map(({ name, problemType, labels, maxTokens, revision, file, bytes }) => ({
    id: name,
    state: 'in_folder' as const,
    problem_type: problemType,
    labels,
    max_tokens: maxTokens,
    revision,
    file: join(name, file),
    bytes,
  }))
  return [...valid, ...refused.map(({ name, reason }) => ({ id: name, state: 'refused' as const, reason }))]
}

const TITLES = ['NAME', 'TASK', 'REVISION', 'SIZE', 'STATE', 'LABELS']

function table(models: Listed[], columns: number): string {
  const reasons = models.flatMap(({ id, reason }) => (reason ? [`${oneLine(`${id}: ${reason}`)}\n`] : []))
  return tableText([TITLES, ...models.map(cells)], columns) + reasons.join('')
}

function cells(model: Listed): string[] {
  const { id, problem_type: task = '-', labels = [], revision = '-', bytes, state, workers } = model
  const serving = state === 'ready' ? `ready, ${workers} ${workers === 1 ? 'worker' : 'workers'}` : state
  return [
    id,
    task,
    revision,
    bytes === undefined ? '-' : bytesText(bytes),
    serving.replace('_', ' '),
    labels.join(', '),
  ]
}
