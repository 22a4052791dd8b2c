// What a server on this machine would use: settings, models and ports.
import { isFree } from '../../launcher/ports.ts'
import { readRegistry } from '../../worker/models/registry.ts'
import type { Finding } from './finding.ts'

type Found = Omit<Finding, 'check'>

/** @param problems one line for each invalid setting. */
export async function checkSettings(problems: string[]): Promise<Found[]> {
  if (problems.length === 0) return [{ level: 'ok', message: 'the environment has no invalid setting' }]
  const remedy = 'correct the variable; "Settings" in docs/operations.md has all of them'
  return problems.map((message) => ({ level: 'problem', message, remedy }))
}

/** @param dirs MODELS_DIR. @param wanted MODELS; those of the Hub are not downloaded. */
export async function checkModels(dirs: string[], wanted: string[]): Promise<Found[]> {
  const isOfHub = (name: string) => /^[^./][^/]*\/[^/]+$/.test(name)
  const local = wanted.filter((name) => !isOfHub(name))
  if (wanted.length > 0 && local.length === 0)
    return [{ level: 'ok', message: 'all models are of the Hub, and not checked' }]
  const noHub = () => Promise.reject(new Error('models of the Hub are not checked'))
  const { models, refused } = await readRegistry(dirs, local, noHub)
  const found: Found[] = refused.map(({ name, reason }) => ({
    level: 'problem',
    message: `${name}: ${reason}`,
    remedy: 'inferq models check FOLDER lists all problems of a model',
  }))
  if (models.length > 0)
    found.unshift({ level: 'ok', message: `${models.map(({ name }) => name).join(', ')} can be served` })
  else if (found.length === 0) {
    const remedy = 'inferq models add FOLDER, or inferq serve FOLDER'
    found.push({ level: 'problem', message: `no model is in ${dirs.join(', ')}`, remedy })
  }
  return found
}

export interface PortOptions {
  port: number
  host: string
  /** Whether the server that was checked listens there. */
  isServer: boolean
}

export async function checkPort({ port, host, isServer }: PortOptions): Promise<Found[]> {
  if (port === 0) return [{ level: 'ok', message: 'any free port' }]
  if (isServer) return [{ level: 'ok', message: `the server has port ${port}` }]
  if (await isFree(port, host)) return [{ level: 'ok', message: `port ${port} of ${host} is free` }]
  const remedy = 'end the other program, or choose another port: inferq serve --port N (PORT)'
  return [{ level: 'problem', message: `port ${port} of ${host} is taken`, remedy }]
}
