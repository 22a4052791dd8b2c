// `inferq models add`: a folder, or a model of the Hub, checked and put where workers look.
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { findFile } from '../../worker/models/model-files.ts'
import { Hub } from '../../worker/models/hub.ts'
import { type HubId, parseHubId } from '../../worker/models/hub-id.ts'
import { INFERQ_FILE } from '../../worker/models/inferq-json.ts'
import { findOnnx } from '../../worker/models/onnx-file.ts'
import { CARD_FILE, TEXT_FILES } from '../../worker/models/inspect.ts'
import { EXIT, CommandError, UsageError } from '../failure.ts'
import { type Progress, showProgress } from '../progress.ts'
import { bytesText } from '../format.ts'
import { report, type Terminal } from '../terminal.ts'
import { loadForCheck } from './check.ts'
import { inspect, listProblems } from './folder.ts'

export interface AddFlags {
  modelsDir: string
  name?: string | undefined
  force?: boolean | undefined
  hub: string
  token?: string | undefined
  /** Where downloads are kept, for the next time and for workers. */
  cache: string
}

/** Milliseconds for a model of the Hub; what has come by then is kept. */
const FETCH_MS = 3_600_000

export async function addModel(wanted: string, flags: AddFlags, terminal: Terminal): Promise<number> {
  const modelsDir = resolve(flags.modelsDir)
  const id = (await isFolder(wanted)) ? undefined : parseHubId(wanted)
  if (!id && !(await isFolder(wanted))) {
    throw new UsageError(`${wanted} is neither a folder nor a model of the Hub, such as owner/name`)
  }
  const name = flags.name ?? id?.model ?? basename(resolve(wanted))
  const target = join(modelsDir, name)
  if (!flags.force && (await isThere(target))) {
    throw new CommandError(`there is a model "${name}" in ${modelsDir}: --force replaces it, --name gives another name`)
  }
  const from = id ? await fetchFolder(id, flags, terminal) : resolve(wanted)
  const { manifest, problems } = await inspect(from, name)
  if (!manifest) throw new CommandError(listProblems(wanted, problems))
  const { line } = await loadForCheck(manifest, wanted, terminal)
  report(terminal, `${name}@${manifest.revision}: ${line}`)
  await place(from, target, terminal.signal)
  report(
    terminal,
    `added: ${target} (${bytesText(manifest.bytes)}). Restart the workers, and it is served as "${name}"`,
  )
  return EXIT.ok
}

async function fetchFolder(id: HubId, { hub, token, cache }: AddFlags, terminal: Terminal): Promise<string> {
  let bar: { file: string; progress: Progress } | undefined
  const events = {
    progress: (_model: string, file: string, bytes: number, total: number | undefined) => {
      if (bar?.file !== file) {
        bar?.progress.stop()
        report(terminal, `fetching ${file}${total === undefined ? '' : `, ${bytesText(total)}`}`)
        bar = {
          file,
          progress: showProgress(terminal, { unit: '', total: total ?? bytes, done: bytes, count: bytesText }),
        }
      }
      bar.progress.set(bytes)
    },
    waiting: () => report(terminal, 'another process fetches this model already; waiting for it'),
    stale: (_model: string, reason: string) => report(terminal, `${reason}; what was fetched before is taken`),
  }
  const options = { endpoint: hub, token, cacheDir: cache, timeoutMs: FETCH_MS, events }
  try {
    return await new Hub(options).fetchFolder(id, terminal.signal)
  } catch (error) {
    terminal.signal.throwIfAborted()
    throw new CommandError(error instanceof Error ? error.message : String(error), { cause: error })
  } finally {
    bar?.progress.stop()
  }
}

/** Copies what is served and what describes it; the folder appears under its name when it is whole. */
async function place(from: string, target: string, signal: AbortSignal): Promise<void> {
  // Not beside the models: a worker that starts now must not see half a folder.
  const aside = join(dirname(target), '.adding', basename(target))
  const [fresh, old] = [join(aside, 'new'), join(aside, 'old')]
  await rm(aside, { recursive: true, force: true })
  try {
    const { parts } = await findOnnx(from)
    for (const file of [...TEXT_FILES, CARD_FILE, INFERQ_FILE, ...parts]) {
      signal.throwIfAborted()
      const found = await findFile(from, file)
      if (!found) continue
      await mkdir(dirname(join(fresh, file)), { recursive: true })
      await copyFile(found.path, join(fresh, file))
    }
    if (await isThere(target)) await rename(target, old)
    await rename(fresh, target)
  } finally {
    await rm(dirname(aside), { recursive: true, force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
