// Models that this worker serves: all folders of MODELS_DIR, or those in MODELS, from MODELS_DIR, any path or the Hub.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import type { HubId } from './hub-id.ts'
import { readManifest } from './inspect.ts'
import { type Manifest } from './manifest.ts'
import { listNames } from './model-files.ts'
import { isPath, modelNameOf, parseWanted } from './wanted-model.ts'

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
 * Reads every folder of `dirs` that looks like a model, or only those of `wanted` (wanted-model.ts). Of two models with
 * one name the first is served; a folder of a later directory with the same name is ignored.
 */
export async function readRegistry(dirs: string[], wanted: string[], fetchFolder: FetchFolder): Promise<Registry> {
  const registry: Registry = { models: [], refused: [] }
  const taken = new Map<string, string>()
  const found: Found[] = []
  for (const given of wanted.length > 0 ? new Set(wanted) : await modelFolders(dirs)) {
    try {
      const model = parseWanted(given)
      const other = taken.get(model.name)
      if (other) throw new Error(`its name, "${model.name}", is taken by ${other}`)
      taken.set(model.name, given)
      const folder = model.id ? withoutRejection(fetchFolder(model.id)) : (model.folder ?? folderOf(dirs, model.name))
      found.push({ name: model.name, folder })
    } catch (error) {
      // The api publishes the name, so it must not contain a path.
      registry.refused.push({ name: isPath(given) ? modelNameOf(given) : given, reason: messageOf(error) })
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

/** The folder of a model in the first directory that has it. */
export function folderOf(dirs: string[], name: string): string {
  const [first = ''] = dirs
  return resolve(dirs.find((dir) => existsSync(join(dir, name))) ?? first, name)
}

/** Names of the folders with a config.json, an ONNX file or an onnx folder, each once; all others are ignored. */
export async function modelFolders(dirs: string[]): Promise<string[]> {
  const folders = new Set<string>()
  for (const dir of dirs) {
    for (const name of await listNames(dir)) {
      const inside = await listNames(join(dir, name))
      if (inside.some((file) => file === 'config.json' || file === 'onnx' || file.endsWith('.onnx'))) folders.add(name)
    }
  }
  return [...folders]
}
