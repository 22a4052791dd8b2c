// `inferq status`: one screen with the health of the server, the work that waits, and the workers.

import type { Inferq } from '../../client/client.ts'
import { InferqError } from '../../client/errors.ts'
import { withoutCredentials } from '../../client/http/base-url.ts'
import type { Health, QueueInfo, ServerInfo, WorkerInfo } from '../../client/types.ts'
import { EXIT } from '../failure.ts'
import { countOf, countText, secondsText } from '../format.ts'
import { tableText } from '../table.ts'
import { oneLine, print, type Terminal, widthOf } from '../terminal.ts'

export interface StatusFlags {
  url: string
  json: boolean
}

interface Status {
  health: Health
  info: ServerInfo
  queue: Record<string, QueueInfo>
}

const LANES = ['interactive', 'async', 'bulk'] as const
const MODEL_TITLES = ['MODEL', 'WORKERS', 'TEXTS/S', ...LANES.map((lane) => lane.toUpperCase()), 'WAIT']
const WORKER_TITLES = ['WORKER', 'HOST', 'VERSION', 'STATE', 'UP', 'MODELS']

/** @returns the exit code: failed when the server is not healthy. @throws ConnectionError; InferqError without a key. */
export async function printStatus(inferq: Inferq, { url, json }: StatusFlags, terminal: Terminal): Promise<number> {
  const { stdout, signal } = terminal
  const health = await inferq.operations.health(signal)
  const answered = await Promise.all([inferq.info(signal), inferq.operations.queue(signal)]).catch((error: unknown) => {
    // An unhealthy server may answer nothing else, and its problem is known; a key that it refuses is another one.
    if (health.healthy || (error instanceof InferqError && error.status < 500)) throw error
  })
  const [info, queue] = answered ?? []
  if (json) await print(stdout, `${JSON.stringify({ health, info, queue })}\n`)
  else {
    await print(stdout, `${headline(withoutCredentials(url), health, info)}\n`)
    for (const warning of health.warnings) await print(stdout, `warning: ${oneLine(warning)}\n`)
    if (info && queue) await print(stdout, tables({ health, info, queue }, widthOf(stdout)))
  }
  return health.healthy ? EXIT.ok : EXIT.failed
}

function headline(url: string, { healthy, problem = 'unhealthy' }: Health, info: ServerInfo | undefined): string {
  const name = info === undefined ? 'inferq' : `inferq ${info.version}`
  return oneLine(`${name} at ${url}: ${healthy ? 'healthy' : problem}`)
}

function tables({ info, queue }: Status, columns: number): string {
  const models = Object.entries(queue).map(([name, each]) => modelCells(name, each, name === info.default_model))
  const workers = info.workers.map(workerCells)
  const refused = new Set(
    info.workers.flatMap((worker) => worker.refused.map((each) => `${each.name}: ${each.reason}`)),
  )
  return [
    ...(models.length > 0 ? ['\n', tableText([MODEL_TITLES, ...models], columns)] : []),
    ...(workers.length > 0 ? ['\n', tableText([WORKER_TITLES, ...workers], columns)] : []),
    ...[...refused].map((line) => `refused: ${oneLine(line)}\n`),
  ].join('')
}

/** Waiting jobs of each lane, and the time until all of them are done. */
function modelCells(name: string, model: QueueInfo, isDefault: boolean): string[] {
  const longest = model.eta_seconds_by_lane.bulk
  return [
    isDefault ? `${name} (default)` : name,
    countText(model.workers),
    countText(model.drain_per_second),
    ...LANES.map((lane) => countOf(model.depth[lane], 'job')),
    longest === null ? 'no worker' : longest === 0 ? 'none' : secondsText(Math.max(1, longest)),
  ]
}

function workerCells({ id, host, version, state, started_at: startedAt, models }: WorkerInfo): string[] {
  const up = secondsText((Date.now() - Date.parse(startedAt)) / 1_000)
  return [id, host, version, state, up, models.map(({ name }) => name).join(', ') || 'none']
}
