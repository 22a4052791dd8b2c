// Which models this worker serves: the folders of MODELS_DIR, or those that MODELS names.
import { join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import { modelNameProblem } from '../../queue/names.ts'
import { namesIn } from './files.ts'
import { type Manifest, readManifest } from './manifest.ts'

export interface Refusal {
  name: string
  reason: string
}

export interface Registry {
  models: Manifest[]
  /** Folders that cannot be served, and why; the others are served all the same. */
  refused: Refusal[]
}

/** Reads every folder of `dir` that looks like a model, or exactly those of `wanted`. */
export async function readRegistry(dir: string, wanted: string[]): Promise<Registry> {
  const registry: Registry = { models: [], refused: [] }
  for (const name of wanted.length > 0 ? new Set(wanted) : await modelFolders(dir)) {
    try {
      const problem = nameProblem(name)
      if (problem) throw new Error(problem)
      registry.models.push(await readManifest(name, resolve(dir, name)))
    } catch (error) {
      registry.refused.push({ name, reason: messageOf(error) })
    }
  }
  return registry
}

function nameProblem(name: string): string | undefined {
  if (name.includes('/')) return 'models of the Hub cannot be fetched yet; put the folder into MODELS_DIR'
  return modelNameProblem(name)
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
