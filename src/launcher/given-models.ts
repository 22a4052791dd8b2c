// Models that are named on the command line: what each of them is, and the settings with which it is served.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf, StartupError } from '../errors.ts'
import { defaultModelsDirs } from '../package.ts'
import { Hub, type HubEvents } from '../worker/models/hub.ts'
import { inspectFolder } from '../worker/models/inspect.ts'
import type { Manifest } from '../worker/models/manifest.ts'
import { folderOf, modelFolders } from '../worker/models/registry.ts'
import { parseWanted, type WantedModel } from '../worker/models/wanted-model.ts'
import type { LauncherConfig } from './settings.ts'

/** The model of requests that name none, unless only others are there. */
const USUAL_DEFAULT = 'cola'
/** The most labels that are printed. */
const MAX_LABELS = 8
const PROGRESS_MS = 2_000
const FUNCTIONS = { single_label: 'softmax', multi_label: 'sigmoid', regression: 'none' } as const

/** MODELS, MODELS_DIR and DEFAULT_MODEL of `inferq serve` without models: variables that are set keep their values. */
export async function settingsWithoutModels(env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const dirs = env['MODELS_DIR']?.split(',') ?? defaultModelsDirs().map(asListItem)
  const settings: Record<string, string> = { MODELS_DIR: dirs.join() }
  if (env['DEFAULT_MODEL'] || env['MODELS']) return settings
  const names = await modelFolders(dirs)
  const [first] = names
  if (first !== undefined && !names.includes(USUAL_DEFAULT)) settings['DEFAULT_MODEL'] = first
  return settings
}

/**
 * MODELS and DEFAULT_MODEL for models of the command line. @param base the folder that relative paths start from.
 * @throws StartupError for one that is neither a folder, a name nor an id.
 */
export function settingsOfModels(models: string[], dirs: string[], base: string): Record<string, string> {
  const names = new Map<string, string>()
  const wanted = models.map((given) => {
    const path = resolve(base, given)
    const item = existsSync(path) ? asListItem(path) : given
    const { name, id } = parsed(item, given)
    if (!id && !existsSync(path) && !existsSync(folderOf(dirs, name))) {
      throw new StartupError(`${given}: there is no such folder, and a model of the Hub is named owner/name`)
    }
    const other = names.get(name)
    if (other !== undefined) throw new StartupError(`${given}: its name, "${name}", is taken by ${other}`)
    names.set(name, given)
    return item
  })
  const [first = ''] = names.keys()
  return { MODELS: wanted.join(), DEFAULT_MODEL: first }
}

function parsed(item: string, given: string): WantedModel {
  try {
    return parseWanted(item)
  } catch (error) {
    throw new StartupError(`${given}: ${messageOf(error)}`)
  }
}

function asListItem(path: string): string {
  if (!path.includes(',')) return path
  throw new StartupError(
    `${path}: a path with a comma cannot be served, because commas separate models; rename the folder`,
  )
}

/**
 * Reads each model of MODELS, downloads those of the Hub, and prints what it finds.
 * @param cacheDir of the Hub's models. @throws StartupError with every problem of the models.
 */
export async function inspectModels(
  settings: LauncherConfig,
  cacheDir: string,
  print: (line: string) => void,
  closing: AbortSignal,
): Promise<void> {
  const problems: string[] = []
  for (const given of settings.models) {
    const { name, id, folder } = parseWanted(given)
    try {
      const dir = id
        ? await hubOf(settings, cacheDir, print).fetchFolder(id, closing)
        : (folder ?? folderOf(settings.modelsDirs, name))
      const inspection = await inspectFolder(name, dir)
      if (inspection.manifest) print(describe(inspection.manifest, given))
      else problems.push(...inspection.problems.map((problem) => `${given}: ${problem}`))
    } catch (error) {
      closing.throwIfAborted()
      problems.push(messageOf(error))
    }
  }
  if (problems.length === 1) throw new StartupError(`cannot serve ${problems[0]}`)
  if (problems.length > 1)
    throw new StartupError(`cannot serve, ${problems.length} problems:\n  ${problems.join('\n  ')}`)
}

function hubOf(settings: LauncherConfig, cacheDir: string, print: (line: string) => void): Hub {
  const { hfEndpoint: endpoint, hfToken: token, hubTimeout: timeoutMs } = settings
  return new Hub({ endpoint, token, cacheDir, timeoutMs, events: printedProgress(print) })
}

/** One line every two seconds, with the seconds since the start of the download. */
function printedProgress(print: (line: string) => void): HubEvents {
  const startedAt = Date.now()
  let printedAt = 0
  return {
    progress(model, file, bytes, total) {
      if (Date.now() - printedAt < PROGRESS_MS) return
      printedAt = Date.now()
      const percent = total ? ` of ${megabytes(total)} (${Math.floor((100 * bytes) / total)} %)` : ''
      const seconds = Math.round((printedAt - startedAt) / 1_000)
      print(`downloading ${model}, ${file}: ${megabytes(bytes)}${percent}, ${seconds} s …`)
    },
    limited: (_model, ms) => print(`the Hub limits requests; waiting ${Math.ceil(ms / 1_000)} s, as it asks …`),
    waiting: (model) => print(`another process is downloading ${model}; waiting for it …`),
    stale: (_model, reason) => print(`${reason}; using the earlier download`),
  }
}

function describe(manifest: Manifest, given: string): string {
  const { name, file, bytes, architecture, problemType, labels, maxTokens } = manifest
  const more = labels.length > MAX_LABELS ? `, … ${labels.length} in total` : ''
  const listed = labels.slice(0, MAX_LABELS).join(', ') + more
  const kind = `${problemType.replace('_', '-')} (${manifest.function ?? FUNCTIONS[problemType]})`
  return `found ${given}: "${name}", ${architecture}, ${file} of ${megabytes(bytes)}
        ${kind}, labels ${listed}; at most ${maxTokens} tokens a text`
}

const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`

/** The directory of the Hub's downloads. */
export function hubCache(env: NodeJS.ProcessEnv, dataDir: string): string {
  return env['MODELS_CACHE']?.trim() || join(dataDir, 'hub')
}
