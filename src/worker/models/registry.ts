// Models that this worker serves: all folders of MODELS_DIR, or those in MODELS, from MODELS_DIR or the Hub.
import { join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import { modelNameProblem } from '../../queue/names.ts'
import { type HubId, parseHubId } from './hub-id.ts'
import { readManifest } from './inspect.ts'
import { type Manifest } from './manifest.ts'
import { listNames } from './model-files.ts'

export interface Refusal {
  name: string
  reason: string
}

export interface Registry {
  models: Manifest[]
  /** Models that cannot be served, and the reasons. */
  refused: Refusal[]
}

/** @returns the folder of a model of the Hub on this machine. @throws Error with the reason when there is none. */
export type FetchFolder = (id: HubId) => Promise<string>

/**
 * Reads every folder of `dir` that looks like a model, or only those of `wanted`, which may also be Hub ids. Of two
 * models with one name the first is served.
 */
export async function readRegistry(dir: string, wanted: string[], fetchFolder: FetchFolder): Promise<Registry> {
  const registry: Registry = { models: [], refused: [] }
  const taken = new Map<string, string>()
  const found: Found[] = []
  for (const given of wanted.length > 0 ? new Set(wanted) : await modelFolders(dir)) {
    try {
      const model = parseWanted(given)
      const other = taken.get(model.name)
      if (other) throw new Error(`its name, "${model.name}", is taken by ${other}`)
      taken.set(model.name, given)
      found.push({
        name: model.name,
        folder: model.id ? withoutRejection(fetchFolder(model.id)) : resolve(dir, model.name),
      })
    } catch (error) {
      registry.refused.push({ name: given, reason: messageOf(error) })
    }
  }
  // Downloads go on meanwhile. Folders are read one after the other, because a model file is read into memory whole.
  for (const { name, folder } of found) {
    try {
      const path = await folder
      if (path instanceof Error) throw path
      registry.models.push(await readManifest(name, path))
    } catch (error) {
      registry.refused.push({ name, reason: messageOf(error) })
    }
  }
  return registry
}

interface Found {
  name: string
  folder: string | Promise<string | Error>
}

/** Resolves with the error, so that it is no unhandled rejection before the promise is awaited. */
function withoutRejection(folder: Promise<string>): Promise<string | Error> {
  return folder.catch((error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))))
}

/** Checks a name before it becomes part of a path. @throws Error with the problem. */
function parseWanted(given: string): { name: string; id: HubId | undefined } {
  const id = parseHubId(given)
  if (!id && /[/\\@]/.test(given)) {
    throw new Error(
      'is neither a folder of MODELS_DIR nor a model of the Hub, such as owner/name or owner/name@revision',
    )
  }
  const name = id?.model ?? given
  const problem = modelNameProblem(name)
  if (problem) throw new Error(problem)
  return { name, id }
}

/** Folders with a config.json, an ONNX file or an onnx folder; all others are ignored. */
async function modelFolders(dir: string): Promise<string[]> {
  const folders: string[] = []
  for (const name of await listNames(dir)) {
    const inside = await listNames(join(dir, name))
    if (inside.some((file) => file === 'config.json' || file === 'onnx' || file.endsWith('.onnx'))) folders.push(name)
  }
  return folders
}
