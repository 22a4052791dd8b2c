// Models of the Hub, in a folder of this machine: fetched once a commit, and used without the Hub when that is away.
//
//   OWNER/NAME/refs/REVISION     the commit that the revision was when it was last asked for
//   OWNER/NAME/COMMIT/           a model's folder, whole
//   OWNER/NAME/COMMIT.partial/   one that is being fetched, or was when its process ended
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { lock } from 'proper-lockfile'
import { messageOf } from '../../errors.ts'
import { download, persistently } from './download.ts'
import { HubClient, type HubRevision } from './hub-client.ts'
import { type HubId, isCommit } from './hub-id.ts'
import { INFERQ_FILE } from './inferq-json.ts'
import { ONNX_FILES } from './onnx-file.ts'
import { CARD_FILE, TEXT_FILES } from './inspect.ts'
import { pause } from '../../async.ts'

export interface HubOptions {
  /** For example https://huggingface.co */
  endpoint: string
  token: string | undefined
  cacheDir: string
  /** Milliseconds for one model; what has come by then is kept. */
  timeoutMs: number
  events: HubEvents
  /** Milliseconds that the Hub may say nothing. */
  silenceMs?: number
  /** Milliseconds before a second attempt. */
  pauseMs?: number
}

export interface HubEvents {
  /** Bytes of a file that are there; the total where it is known. */
  progress: (model: string, file: string, bytes: number, total: number | undefined) => void
  /** Another process fetches it already. */
  waiting: (model: string) => void
  /** The Hub could not be asked; an earlier commit serves. */
  stale: (model: string, reason: string) => void
}

const SILENCE_MS = 15_000
const PAUSE_MS = 500
const ATTEMPTS = 4
const LOOK_MS = 250
/** The lock of a process that died without a word is taken over after so long. */
const STALE_LOCK_MS = 10_000

export class Hub {
  readonly #options: HubOptions
  readonly #client: HubClient

  constructor(options: HubOptions) {
    this.#options = options
    const { token, silenceMs = SILENCE_MS } = options
    this.#client = new HubClient({ endpoint: options.endpoint.replace(/\/+$/, ''), token, silenceMs })
  }

  /**
   * @returns the folder of the model, absolute: of the newest commit, or of an earlier one when the Hub is away.
   * @throws Error that says why there is none.
   */
  async fetchFolder(id: HubId, closing: AbortSignal): Promise<string> {
    const known = await this.#known(id)
    if (known && isCommit(id.revision)) return known
    const late = AbortSignal.timeout(this.#options.timeoutMs)
    const signal = AbortSignal.any([closing, late])
    try {
      return await this.#fetch(id, known ? 1 : ATTEMPTS, signal)
    } catch (error) {
      if (closing.aborted) throw error
      const reason = late.aborted
        ? 'it takes longer than HUB_TIMEOUT; the next start goes on from there'
        : reasonOf(error)
      if (!known) throw new Error(`${nameOf(id)} cannot be fetched: ${reason}`, { cause: error })
      this.#options.events.stale(nameOf(id), reason)
      return known
    }
  }

  async #fetch(id: HubId, attempts: number, signal: AbortSignal): Promise<string> {
    const { pauseMs = PAUSE_MS } = this.#options
    const revision = await persistently(() => this.#client.revision(id, signal), attempts, pauseMs, signal)
    const folder = join(this.#home(id), revision.commit)
    if (!(await exists(folder))) await this.#locked(id, signal, (held) => this.#fetchFiles(id, revision, folder, held))
    await this.#remember(id, revision.commit)
    return folder
  }

  /** Runs the task while no other process fetches the same model; its signal aborts too when the lock is lost. */
  async #locked(id: HubId, signal: AbortSignal, task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await mkdir(this.#home(id), { recursive: true })
    const lost = new AbortController()
    const options = { stale: STALE_LOCK_MS, realpath: false, onCompromised: (error: Error) => lost.abort(error) }
    for (let looks = 0; ; looks += 1) {
      const release = await lock(this.#home(id), options).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ELOCKED') throw error
      })
      if (release) {
        try {
          return await task(AbortSignal.any([signal, lost.signal]))
        } finally {
          await release().catch(() => undefined)
        }
      }
      if (looks === 0) this.#options.events.waiting(nameOf(id))
      if (!(await pause(LOOK_MS, signal))) throw signal.reason
    }
  }

  async #fetchFiles(id: HubId, { commit, files }: HubRevision, folder: string, signal: AbortSignal): Promise<void> {
    // Whoever held the lock before may have fetched it.
    if (await exists(folder)) return
    const { events, pauseMs = PAUSE_MS } = this.#options
    const partial = `${folder}.partial`
    await mkdir(partial, { recursive: true })
    for (const file of servedOf(files)) {
      await download({
        file,
        path: join(partial, file),
        describe: () => this.#client.describe(id, commit, file, signal),
        read: (from) => this.#client.read(id, commit, file, from, signal),
        onProgress: (bytes, total) => events.progress(nameOf(id), file, bytes, total),
        signal,
        pauseMs,
      })
    }
    await rename(partial, folder)
  }

  #home({ owner, name }: HubId): string {
    return resolve(this.#options.cacheDir, owner, name)
  }

  #refOf(id: HubId): string {
    return join(this.#home(id), 'refs', encodeURIComponent(id.revision))
  }

  /** The folder that an earlier start has fetched. */
  async #known(id: HubId): Promise<string | undefined> {
    const ref = isCommit(id.revision) ? id.revision : await readFile(this.#refOf(id), 'utf8').catch(() => '')
    const folder = join(this.#home(id), ref)
    return isCommit(ref) && (await exists(folder)) ? folder : undefined
  }

  async #remember(id: HubId, commit: string): Promise<void> {
    const ref = this.#refOf(id)
    await mkdir(join(ref, '..'), { recursive: true })
    await writeFile(`${ref}.${process.pid}`, commit)
    await rename(`${ref}.${process.pid}`, ref)
  }
}

/** What of a repository's files is served: those of a model's folder, and of the model files the first one. */
function servedOf(files: string[]): string[] {
  const onnx = ONNX_FILES.find((file) => files.includes(file))
  // Its external data lies beside it under its name.
  const parts = files.filter((file) => onnx && file.startsWith(onnx) && /^onnx\/[A-Za-z0-9._-]+$/.test(file))
  return [...TEXT_FILES, CARD_FILE, INFERQ_FILE].filter((file) => files.includes(file)).concat(parts)
}

function nameOf({ owner, name, revision }: HubId): string {
  return revision === 'main' ? `${owner}/${name}` : `${owner}/${name}@${revision}`
}

/** What the file system says is about the cache. */
function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).syscall ? `MODELS_CACHE: ${messageOf(error)}` : messageOf(error)
}

async function exists(dir: string): Promise<boolean> {
  return stat(dir).then(
    () => true,
    () => false,
  )
}
