// `inferq models add`: checks a model and copies it into the models folder.
import { mkdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { messageOf } from '../../errors.ts'
import { Hub } from '../../worker/models/hub.ts'
import { type HubId, parseHubId } from '../../worker/models/hub-id.ts'
import { snapshotModel } from '../../worker/models/model-files.ts'
import { CommandError, EXIT, UsageError } from '../failure.ts'
import { bytesText } from '../format.ts'
import { withLock } from '../lock.ts'
import { type Progress, showProgress } from '../progress.ts'
import { report, type Terminal } from '../terminal.ts'
import { loadForCheck } from './check.ts'
import { exists, inspect, isFolder, listProblems } from './folder.ts'
import { checkApart, checkReplaceable, install } from './install.ts'
import { storedToken } from './stored-token.ts'

export interface AddFlags {
  /** Separated by commas. */
  modelsDir: string
  name?: string | undefined
  force?: boolean | undefined
  hub: string
  token?: string | undefined
  /** The folder for downloads; workers read it too. */
  cache: string
}

/** For one model of the Hub; the files downloaded by then are kept. */
const DOWNLOAD_TIMEOUT_MS = 3_600_000

export async function addModel(wanted: string, flags: AddFlags, terminal: Terminal): Promise<number> {
  const [first = ''] = flags.modelsDir.split(',')
  const modelsDir = resolve(first)
  const id = (await isFolder(wanted)) ? undefined : parseHubId(wanted)
  if (!id && !(await isFolder(wanted))) {
    throw new UsageError(
      `${wanted} is neither a folder nor a model of the Hub, such as owner/name (old names such as gpt2 have an owner now)`,
    )
  }
  const name = flags.name ?? id?.model ?? (await snapshotModel(wanted)) ?? basename(resolve(wanted))
  const target = join(modelsDir, name)
  if (!flags.force && (await exists(target))) {
    throw new CommandError(`${modelsDir} already has a model "${name}": --force replaces it, --name sets another name`)
  }
  if (!id) await checkApart(resolve(wanted), target)
  await checkReplaceable(target)
  const from = id ? await download(id, flags, terminal) : resolve(wanted)
  const { manifest, problems } = await inspect(from, name)
  if (!manifest) throw new CommandError(listProblems(wanted, problems))
  const { line } = await loadForCheck(manifest, wanted, terminal)
  report(terminal, `${name}@${manifest.revision}: ${line}`)
  await mkdir(modelsDir, { recursive: true })
  await withLock({ path: join(modelsDir, `.adding-${name}.lock`), name: target }, terminal, (signal) =>
    install(from, manifest.file, target, flags.force === true, signal),
  )
  report(
    terminal,
    `added ${target} (${bytesText(manifest.bytes)}); restart the workers (stop inferq and start it again), then it is served as "${name}"`,
  )
  return EXIT.ok
}

async function download(id: HubId, { hub, token, cache }: AddFlags, terminal: Terminal): Promise<string> {
  let bar: { file: string; progress: Progress } | undefined
  const events = {
    progress: (_model: string, file: string, bytes: number, total: number | undefined) => {
      if (bar?.file !== file) {
        bar?.progress.stop()
        report(terminal, `downloading ${file}${total === undefined ? '' : `, ${bytesText(total)}`}`)
        bar = {
          file,
          progress: showProgress(terminal, { unit: '', total: total ?? bytes, done: bytes, count: bytesText }),
        }
      }
      bar.progress.set(bytes)
    },
    limited: (_model: string, ms: number) =>
      report(terminal, `the Hub limits requests; waiting ${Math.ceil(ms / 1_000)} s, as it asks`),
    waiting: () => report(terminal, 'another process is downloading this model; waiting for it'),
    stale: (_model: string, reason: string) => report(terminal, `${reason}; using the earlier download`),
  }
  const options = {
    endpoint: hub,
    token: token ?? (await storedToken(hub, process.env)),
    cacheDir: cache,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    events,
  }
  try {
    return await new Hub(options).fetchFolder(id, terminal.signal)
  } catch (error) {
    terminal.signal.throwIfAborted()
    throw new CommandError(messageOf(error), { cause: error })
  } finally {
    bar?.progress.stop()
  }
}
