// What names a model in MODELS and on the command line: a folder of MODELS_DIR, a path, or an id of the Hub.
import { basename, resolve } from 'node:path'
import { modelNameProblem } from '../../queue/names.ts'
import { type HubId, parseHubId } from './hub-id.ts'

export interface WantedModel {
  /** The name under which the model is served. */
  name: string
  /** A model of the Hub. */
  id?: HubId
  /** The absolute path of a folder that was given as a path; without it and without `id`, a folder of MODELS_DIR. */
  folder?: string
}

/** Checks a name before it becomes part of a path. @throws Error with the problem. */
export function parseWanted(given: string): WantedModel {
  const folder = isPath(given) ? { folder: resolve(given) } : {}
  const id = isPath(given) ? undefined : parseHubId(given)
  if (!folder.folder && !id && /[/\\@]/.test(given)) {
    throw new Error(
      'is neither a folder of MODELS_DIR, a path such as ./NAME, nor a model of the Hub, such as owner/name or owner/name@revision',
    )
  }
  const name = modelNameOf(given)
  const problem = modelNameProblem(name)
  if (problem) throw new Error(problem)
  return { name, ...folder, ...(id ? { id } : {}) }
}

/** The name under which what is given would be served; of a path, it contains no other part than the last. */
export function modelNameOf(given: string): string {
  if (isPath(given)) return nameFromPath(given)
  return parseHubId(given)?.model ?? given
}

/** Whether it is an absolute path, or one that begins with a dot. */
export function isPath(given: string): boolean {
  return /^\.{0,2}\//.test(given) || given === '.' || given === '..'
}

/**
 * The last part of a path in lower case, with dashes for other characters than those of a model's name. Of a snapshot in
 * the Hugging Face cache (`…/models--OWNER--NAME/snapshots/COMMIT`), the name of the model.
 */
function nameFromPath(path: string): string {
  const parts = resolve(path).split('/')
  const repository = parts.at(-2) === 'snapshots' ? parts.at(-3) : undefined
  const name = repository?.startsWith('models--') ? repository.split('--').at(-1) : basename(resolve(path))
  return (name ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
}
