// Which models this worker serves: the folders of MODELS_DIR, or those that MODELS names, there or on the Hub.
import { join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import { modelNameProblem } from '../../queue/names.ts'
import { namesIn } from './model-files.ts'
import { type HubId, parseHubId } from './hub-id.ts'
import { type Manifest } from './manifest.ts'
import { readManifest } from './inspect.ts'

export interface Refusal {
  name: string
  reason: string
}

export interface Registry {
  models: Manifest[]
  /** What cannot be served, and why; the others are served all the same. */
  refused: Refusal[]
}

/** Where a model of the Hub is on this machine. @throws Error that says why it is not. */
export type FetchFolder = (id: HubId) => Promise<string>

/**
 * Reads every folder of `dir` that looks like a model, or exactly those of `wanted`, which may also be Hub ids. Of two
 * models of one name the first is served.
 */
export async function readRegistry(dir: string, wanted: string[], fetchFolder: FetchFolder): Promise<Registry> {
  const registry: Registry = { models: [], refused: [] }
  const taken = new Map<string, string>()
  const found: Found[] = []
  for (const as of wanted.length > 0 ? new Set(wanted) : await modelFolders(dir)) {
    try {
      const model = wantedModel(as)
      const other = taken.get(model.name)
      if (other) throw new Error(`its name, "${model.name}", is taken by ${other}`)
      taken.set(model.name, as)
      found.push({ name: model.name, folder: model.id ? settled(fetchFolder(model.id)) : resolve(dir, model.name) })
    } catch (error) {
      registry.refused.push({ name: as, reason: messageOf(error) })
    }
  }
  // What the Hub has comes meanwhile; folders are read one after the other, because a model file is read as a whole.
  for (const { name, folder } of found) {
    try {
      const place = await folder
      if (place instanceof Error) throw place
      registry.models.push(await readManifest(name, place))
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

/** So that a failure can wait until somebody asks for it. */
function settled(folder: Promise<string>): Promise<string | Error> {
  return folder.catch((error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))))
}

/** Names are checked before they become part of a path. @throws Error that says what is wrong with it. */
function wantedModel(as: string): { name: string; id: HubId | undefined } {
  const id = parseHubId(as)
  if (!id && /[/\\@]/.test(as)) {
    throw new Error(
      'is neither a folder of MODELS_DIR nor a model of the Hub, such as owner/name or owner/name@revision',
    )
  }
  const name = id?.model ?? as
  const problem = modelNameProblem(name)
  if (problem) throw new Error(problem)
  return { name, id }
}

/** Folders with neither a config.json nor an onnx folder are something else, and are passed over without a word. */
async function modelFolders(dir: string): Promise<string[]> {
  const folders: string[] = []
  for (const name of await namesIn(dir)) {
    const inside = await namesIn(join(dir, name))
    if (inside.includes('config.json') || inside.includes('onnx')) folders.push(name)
  }
  return folders
}
