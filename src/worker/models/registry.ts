// Which models this worker serves: the folders of MODELS_DIR, or those that MODELS names, there or on the Hub.
import { join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import { modelNameProblem } from '../../queue/names.ts'
import { namesIn } from './files.ts'
import { type HubId, parseHubId } from './hub-id.ts'
import { type Manifest, readManifest } from './manifest.ts'

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

interface Wanted {
  /** The name under which it is served. */
  name: string
  /** How it was asked for. */
  as: string
  folder: () => Promise<string>
}

/**
 * Reads every folder of `dir` that looks like a model, or exactly those of `wanted`, which may also be Hub ids. Of two
 * models of one name the first is served.
 */
export async function readRegistry(dir: string, wanted: string[], fetchFolder: FetchFolder): Promise<Registry> {
  const asked = wanted.length > 0 ? [...new Set(wanted)] : await modelFolders(dir)
  const taken = new Map<string, string>()
  const results = asked.map(async (as) => {
    try {
      const model = wantedModel(dir, as, fetchFolder)
      const other = taken.get(model.name)
      if (other) return { name: as, reason: `its name, "${model.name}", is taken by ${other}` }
      taken.set(model.name, as)
      return await readOne(model)
    } catch (error) {
      return { name: as, reason: messageOf(error) }
    }
  })
  const registry: Registry = { models: [], refused: [] }
  for (const result of await Promise.all(results)) {
    if ('reason' in result) registry.refused.push(result)
    else registry.models.push(result)
  }
  return registry
}

async function readOne({ name, folder }: Wanted): Promise<Manifest | Refusal> {
  try {
    return await readManifest(name, await folder())
  } catch (error) {
    return { name, reason: messageOf(error) }
  }
}

/** Names are checked before they become part of a path. @throws Error that says what is wrong with it. */
function wantedModel(dir: string, as: string, fetchFolder: FetchFolder): Wanted {
  const id = parseHubId(as)
  if (!id && /[/\\@]/.test(as)) {
    throw new Error(
      'is neither a folder of MODELS_DIR nor a model of the Hub, such as owner/name or owner/name@revision',
    )
  }
  const name = id?.model ?? as
  const problem = modelNameProblem(name)
  if (problem) throw new Error(problem)
  return { name, as, folder: async () => (id ? fetchFolder(id) : resolve(dir, name)) }
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
