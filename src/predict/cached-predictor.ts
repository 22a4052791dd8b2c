// Plain calls with a cache: texts that are known are answered from it, and texts that are being computed are not computed again.
import { orInterrupted } from '../async.ts'
import type { Item, Row } from '../queue/job.ts'
import type { ApiMetrics } from '../telemetry/metrics.ts'
import type { CacheKey, ResultCache } from './result-cache.ts'
import type { Answer, SyncPredictor, SyncRequest } from './sync-predictor.ts'

export interface CachedPredictorOptions {
  predictor: Pick<SyncPredictor, 'predict'>
  /** undefined: every text is computed. */
  cache: ResultCache | undefined
  metrics: Pick<ApiMetrics, 'cacheLookups'>
}

export interface CachedAnswers {
  answers: Answer[]
  /** Texts that were not computed for this call; undefined without a cache. */
  cached: number | undefined
}

/** In place of a worker's id. */
const FROM_CACHE = 'cache'

export class CachedPredictor {
  readonly #options: CachedPredictorOptions
  /** The texts that are being computed for the cache, by hash and place. */
  readonly #computing = new Map<string, Promise<Answer>>()

  constructor(options: CachedPredictorOptions) {
    this.#options = options
  }

  /**
   * @param admit called with the texts to compute, before they are; it may throw.
   * @throws what `admit` and SyncPredictor throw.
   */
  async predict(items: Item[], call: SyncRequest, admit: (items: Item[]) => void): Promise<CachedAnswers> {
    const { predictor, cache, metrics } = this.#options
    if (!cache) {
      admit(items)
      return { answers: await predictor.predict(items, call), cached: undefined }
    }
    const revision = call.revision ?? call.model.current.revision
    const scope = { owner: call.owner, model: call.model.name, revision, truncate: call.truncate }
    const keys = items.map((item) => cache.keyOf(scope, item))
    const found = await orInterrupted(cache.find(keys), call.interruption)
    const pending = new Map<string, Promise<Answer>>()
    const missing = new Map<string, { item: Item; key: CacheKey }>()
    items.forEach((item, index) => {
      const key = keys[index] as CacheKey
      const name = nameOf(key)
      const computing = this.#computing.get(name)
      if (found[index] || pending.has(name)) return
      if (computing) pending.set(name, computing)
      else missing.set(name, { item, key })
    })
    this.#compute(missing, call, admit, pending)
    const answers = items.map(async (item, index) => {
      const row = found[index]
      if (row) return cachedAnswer(row, revision)
      const name = nameOf(keys[index] as CacheKey)
      const answer = pending.get(name) as Promise<Answer>
      // The caller for whom it is computed may give up.
      return missing.has(name) ? answer : answer.catch(() => this.#alone(item, call, admit))
    })
    const cached = items.length - missing.size
    metrics.cacheLookups.inc({ model: call.model.name, outcome: 'hit' }, cached)
    metrics.cacheLookups.inc({ model: call.model.name, outcome: 'miss' }, missing.size)
    return { answers: await orInterrupted(Promise.all(answers), call.interruption), cached }
  }

  /** Computes the missing texts, and adds their answers to `pending`. */
  #compute(
    missing: Map<string, { item: Item; key: CacheKey }>,
    call: SyncRequest,
    admit: (items: Item[]) => void,
    pending: Map<string, Promise<Answer>>,
  ): void {
    if (missing.size === 0) return
    const entries = [...missing.values()]
    const items = entries.map(({ item }) => item)
    admit(items)
    const computed = this.#options.predictor.predict(items, call)
    computed.then(
      (answers) => this.#store(entries, answers, call),
      () => undefined,
    )
    entries.forEach(({ key }, index) => {
      const name = nameOf(key)
      const answer = computed.then((answers) => answers[index] as Answer)
      pending.set(name, answer)
      this.#computing.set(name, answer)
      const forget = () => this.#computing.delete(name)
      answer.then(forget, forget)
    })
  }

  async #alone(item: Item, call: SyncRequest, admit: (items: Item[]) => void): Promise<Answer> {
    if (call.interruption.reason) throw call.interruption.reason
    admit([item])
    const [answer] = await this.#options.predictor.predict([item], call)
    return answer as Answer
  }

  /** During an update, a worker of another revision may have computed them: then they are not stored. */
  #store(entries: { key: CacheKey }[], answers: Answer[], { model, revision }: SyncRequest): void {
    const wanted = revision ?? model.current.revision
    const rows = entries.flatMap(({ key }, index) => {
      const answer = answers[index] as Answer
      return answer.result.revision === wanted ? [{ key, row: answer.row }] : []
    })
    void this.#options.cache?.store(rows)
  }
}

function nameOf({ place, hash }: CacheKey): string {
  return `${place} ${hash}`
}

function cachedAnswer(row: Row, revision: string): Answer {
  return { row, result: { outcome: 'done', revision, worker: FROM_CACHE, startedAt: Date.now(), rows: [] } }
}
