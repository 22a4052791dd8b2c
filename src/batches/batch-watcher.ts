// Followers of batches: all followers of one batch share one poll of its record.
import { EventEmitter, once } from 'node:events'
import { every } from '../async.ts'
import type { BatchRecord } from '../records/batches.ts'
import { keyIdOf, type OwnedId } from '../records/ids.ts'

export interface BatchWatcherOptions {
  read: (id: OwnedId) => Promise<BatchRecord | undefined>
  /** Interval of the polls with few watched batches, milliseconds. */
  pollMs?: number
  onError: (error: unknown) => void
}

interface Watched {
  id: OwnedId
  followers: number
  /** Polls since the last record. */
  unchanged: number
  /** The number of records so far; 0 before the first poll. */
  version: number
  record: BatchRecord | undefined
  /** The record as JSON, to find changes. */
  text: string
  /** Emits `change`. */
  emitter: EventEmitter
}

const POLL_MS = 200
/** Rows may be stored a moment after they are counted, so followers look again without a further change. */
const UNCHANGED_POLLS = 10
/** With more watched batches the interval grows, so that polls read at most 250 records a second. */
const BATCHES_PER_POLL = 50

export class BatchWatcher {
  readonly #options: Required<BatchWatcherOptions>
  readonly #watched = new Map<string, Watched>()
  #stop = new AbortController()

  constructor(options: BatchWatcherOptions) {
    this.#options = { pollMs: POLL_MS, ...options }
  }

  /** The number of batches with a follower. */
  get size(): number {
    return this.#watched.size
  }

  /**
   * Yields the record now, after each change, and about every 2 s without one; undefined when it no longer exists. A slow
   * consumer gets the last of several changes. An unreachable Redis delays the next record.
   * @param until ends the generator.
   */
  async *records(id: OwnedId, until: AbortSignal): AsyncGenerator<BatchRecord | undefined> {
    const watched = this.#join(id)
    let seen = 0
    try {
      while (!until.aborted) {
        if (watched.version === seen) await once(watched.emitter, 'change', { signal: until })
        seen = watched.version
        yield watched.record
      }
    } catch (error) {
      if (!until.aborted) throw error
    } finally {
      this.#leave(watched)
    }
  }

  #join(id: OwnedId): Watched {
    const key = keyIdOf(id)
    let watched = this.#watched.get(key)
    if (!watched) {
      watched = { id, followers: 0, unchanged: 0, version: 0, record: undefined, text: '', emitter: new EventEmitter() }
      watched.emitter.setMaxListeners(0)
      this.#watched.set(key, watched)
      void this.#poll(watched).catch(this.#options.onError)
      if (this.#watched.size === 1) this.#startPolls()
    }
    watched.followers += 1
    return watched
  }

  #leave(watched: Watched): void {
    watched.followers -= 1
    if (watched.followers > 0) return
    this.#watched.delete(keyIdOf(watched.id))
    if (this.#watched.size === 0) this.#stop.abort()
  }

  #startPolls(): void {
    this.#stop = new AbortController()
    let skip = 0
    const pollAll = async () => {
      skip = (skip + 1) % Math.ceil(this.#watched.size / BATCHES_PER_POLL)
      if (skip === 0) await Promise.all([...this.#watched.values()].map((watched) => this.#poll(watched)))
    }
    void every(this.#options.pollMs, this.#stop.signal, pollAll, this.#options.onError)
  }

  async #poll(watched: Watched): Promise<void> {
    const record = await this.#options.read(watched.id)
    const text = JSON.stringify(record) ?? 'gone'
    watched.unchanged += 1
    if (text === watched.text && watched.unchanged < UNCHANGED_POLLS) return
    watched.unchanged = 0
    watched.record = record
    watched.text = text
    watched.version += 1
    watched.emitter.emit('change')
  }
}
