// Cache of models from the Hub: each commit is downloaded once, and served from here while the Hub is unavailable.
//
//   OWNER/NAME/refs/REVISION     commit of the revision at the last successful request
//   OWNER/NAME/COMMIT/           complete folder of a model
//   OWNER/NAME/COMMIT.partial/   folder of a download in progress, or of one that was interrupted
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { lock } from 'proper-lockfile'
import { pause } from '../../async.ts'
import { messageOf } from '../../errors.ts'
import { download, type RetryOptions, retryTransient } from './download.ts'
import { HubClient, type HubRevision } from './hub-client.ts'
import { type HubId, isCommit } from './hub-id.ts'
import { INFERQ_FILE, inferqFile } from './inferq-json.ts'
import { CARD_FILE, TEXT_FILES } from './inspect.ts'
import { readOptionalJson } from './model-files.ts'
import { chooseOnnx, explainMissing, externalFiles, onnxParts } from './onnx-file.ts'

export interface HubOptions {
  /** For example https://huggingface.co */
  endpoint: string
  token: string | undefined
  cacheDir: string
  /** Milliseconds for one model; the bytes received by then are kept. */
  timeoutMs: number
  events: HubEvents
  /** Milliseconds without a byte from the Hub, before a request fails. */
  idleTimeoutMs?: number
  /** Milliseconds before the second attempt. */
  pauseMs?: number
}

export interface HubEvents {
  /** Bytes received of a file, and its size where the Hub reports it. */
  progress: (model: string, file: string, bytes: number, total: number | undefined) => void
  /** Another process is downloading the model. */
  waiting: (model: string) => void
  /** The Hub limits requests; the next one is sent after `ms` milliseconds. */
  limited: (model: string, ms: number) => void
  /** The request failed; an earlier commit is served. */
  stale: (model: string, reason: string) => void
}

const IDLE_TIMEOUT_MS = 15_000
const PAUSE_MS = 500
const MAX_ATTEMPTS = 4
const LOCK_POLL_MS = 250
/** The lock of a process that was killed is taken over after this time. */
const STALE_LOCK_MS = 10_000

export class Hub {
  readonly #options: HubOptions
  readonly #client: HubClient

  constructor(options: HubOptions) {
    this.#options = options
    const { token, idleTimeoutMs = IDLE_TIMEOUT_MS } = options
    this.#client = new HubClient({ endpoint: options.endpoint.replace(/\/+$/, ''), token, idleTimeoutMs })
  }

  /**
   * @returns the absolute path of the model's folder: of the newest commit, or of a cached one when the request fails.
   * @throws Error with the reason when there is neither.
   */
  async fetchFolder(id: HubId, closing: AbortSignal): Promise<string> {
    const cached = await this.#cachedFolder(id)
    if (cached && isCommit(id.revision)) return cached
    const timeout = AbortSignal.timeout(this.#options.timeoutMs)
    const retry: RetryOptions = {
      signal: AbortSignal.any([closing, timeout]),
      pauseMs: this.#options.pauseMs ?? PAUSE_MS,
      deadline: performance.now() + this.#options.timeoutMs,
      onWait: (ms) => this.#options.events.limited(nameOf(id), ms),
    }
    try {
      return await this.#fetch(id, cached ? 1 : MAX_ATTEMPTS, retry)
    } catch (error) {
      if (closing.aborted) throw error
      const reason = timeout.aborted
        ? 'it takes longer than HUB_TIMEOUT; the next start resumes the download'
        : reasonOf(error)
      if (!cached) throw new Error(`${nameOf(id)} cannot be fetched: ${reason}`, { cause: error })
      this.#options.events.stale(nameOf(id), reason)
      return cached
    }
  }

  async #fetch(id: HubId, attempts: number, retry: RetryOptions): Promise<string> {
    const { signal } = retry
    const revision = await retryTransient(() => this.#client.revision(id, signal), attempts, retry)
    const folder = join(this.#repositoryDir(id), revision.commit)
    if (!(await exists(folder))) {
      await this.#withLock(id, signal, (held) => this.#fetchFiles(id, revision, folder, { ...retry, signal: held }))
    }
    await this.#writeRef(id, revision.commit)
    return folder
  }

  /** Runs the task under the lock of the repository; its signal also aborts when the lock is lost. */
  async #withLock(id: HubId, signal: AbortSignal, task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    await mkdir(this.#repositoryDir(id), { recursive: true })
    const lockLost = new AbortController()
    const options = { stale: STALE_LOCK_MS, realpath: false, onCompromised: (error: Error) => lockLost.abort(error) }
    for (let polls = 0; ; polls += 1) {
      const release = await lock(this.#repositoryDir(id), options).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ELOCKED') throw error
      })
      if (release) {
        try {
          return await task(AbortSignal.any([signal, lockLost.signal]))
        } finally {
          await release().catch(() => undefined)
        }
      }
      if (polls === 0) this.#options.events.waiting(nameOf(id))
      if (!(await pause(LOCK_POLL_MS, signal))) throw signal.reason
    }
  }

  async #fetchFiles(id: HubId, { commit, files }: HubRevision, folder: string, retry: RetryOptions): Promise<void> {
    // The previous holder of the lock may have completed the folder.
    if (await exists(folder)) return
    const { signal } = retry
    const { events } = this.#options
    const partial = `${folder}.partial`
    await mkdir(partial, { recursive: true })
    const fetchAll = async (wanted: string[]) => {
      for (const file of wanted) {
        await download({
          file,
          path: join(partial, file),
          describe: () => this.#client.describe(id, commit, file, signal),
          read: (from) => this.#client.read(id, commit, file, from, signal),
          onProgress: (bytes, total) => events.progress(nameOf(id), file, bytes, total),
          retry,
        })
      }
    }
    await fetchAll([...TEXT_FILES, CARD_FILE, INFERQ_FILE].filter((file) => files.includes(file)))
    const onnx = await onnxOf(partial, files)
    // Without any ONNX file, the folder is reported with its other problems.
    if (!onnx && files.some((file) => file.endsWith('.onnx'))) throw new Error(explainMissing(files))
    if (onnx) {
      await fetchAll(onnxParts(onnx, files).filter(isSafePath))
      const data = await externalFiles(partial, onnx)
      await fetchAll(data.filter((file) => files.includes(file) && isSafePath(file)))
    }
    await rename(partial, folder)
  }

  #repositoryDir({ owner, name }: HubId): string {
    return resolve(this.#options.cacheDir, owner, name)
  }

  #refPath(id: HubId): string {
    return join(this.#repositoryDir(id), 'refs', encodeURIComponent(id.revision))
  }

  /** Folder of the commit that the revision was at the last request, when it is complete. */
  async #cachedFolder(id: HubId): Promise<string | undefined> {
    const ref = isCommit(id.revision) ? id.revision : await readFile(this.#refPath(id), 'utf8').catch(() => '')
    const folder = join(this.#repositoryDir(id), ref)
    return isCommit(ref) && (await exists(folder)) ? folder : undefined
  }

  async #writeRef(id: HubId, commit: string): Promise<void> {
    const ref = this.#refPath(id)
    await mkdir(join(ref, '..'), { recursive: true })
    await writeFile(`${ref}.${process.pid}`, commit)
    await rename(`${ref}.${process.pid}`, ref)
  }
}

/** The ONNX file that the repository's inferq.json names, or that is chosen among its files. */
async function onnxOf(partial: string, files: string[]): Promise<string | undefined> {
  // An invalid inferq.json is reported with the other problems of the folder.
  const settings = await readOptionalJson(partial, INFERQ_FILE, inferqFile).catch(() => undefined)
  const onnx = settings?.file ?? chooseOnnx(files)
  return onnx !== undefined && files.includes(onnx) ? onnx : undefined
}

/** Whether a path that the Hub names stays in the folder, and is no hidden file. */
function isSafePath(file: string): boolean {
  return /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(file)
}

function nameOf({ owner, name, revision }: HubId): string {
  return revision === 'main' ? `${owner}/${name}` : `${owner}/${name}@${revision}`
}

/** An error of the file system concerns the cache, and is reported with the setting. */
function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).syscall ? `MODELS_CACHE: ${messageOf(error)}` : messageOf(error)
}

async function exists(dir: string): Promise<boolean> {
  return stat(dir).then(
    () => true,
    () => false,
  )
}
