// Predictions that are submitted without a pause, each with its own Idempotency-Key and until it is accepted, and what became
// of them.
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from './wait-for.ts'

interface Submitted {
  id: string
  /** performance.now() of the acceptance. */
  at: number
}

export interface LoadFigures {
  accepted: number
  /** Of those that were replicated before the fault, and of the others: predictions that cannot be read, or failed. */
  lost: { replicated: number; other: number }
  /** Predictions of the list in excess of the keys. */
  doubled: number
  /** Accepted predictions that were not known to be replicated at the fault. */
  unreplicated: number
  /** The longest time without an acceptance, seconds. */
  longestPause: number
}

const SUBMITTERS = 8
const RETRY_MS = 100

export class PredictionLoad {
  readonly #url: () => string
  readonly #over = new AbortController()
  readonly #accepted: Submitted[] = []
  readonly #submitters: Promise<void>[]
  #keys = 0
  /** The last answer that was no acceptance. */
  lastRefusal = ''

  /** @param url of an api; it is asked for at each request. */
  constructor(url: () => string) {
    this.#url = url
    this.#submitters = Array.from({ length: SUBMITTERS }, () => this.#submit())
  }

  /** Ids of the predictions that are accepted by now. */
  get ids(): string[] {
    return this.#accepted.map(({ id }) => id)
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#submitters)
  }

  /** Waits for the ends of all predictions. @param replicated ids that were replicated before the fault. */
  async figures(replicated: ReadonlySet<string>): Promise<LoadFigures> {
    const lost = { replicated: 0, other: 0 }
    const listed = await this.#list()
    for (const id of this.ids) {
      const status = await waitFor(`the end of ${id}`, () => this.#end(id), { within: 120_000, every: 100 })
      if (status !== 'succeeded') lost[replicated.has(id) ? 'replicated' : 'other'] += 1
    }
    const times = this.#accepted.map(({ at }) => at).sort((a, b) => a - b)
    const pauses = times.map((at, index) => at - (times[index - 1] ?? at))
    return {
      accepted: times.length,
      lost,
      doubled: listed.length - new Set(listed).size + Math.max(0, listed.length - this.#keys),
      unreplicated: this.ids.filter((id) => !replicated.has(id)).length,
      longestPause: Math.round(Math.max(...pauses) / 10) / 100,
    }
  }

  async #submit(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      const key = `key-${(this.#keys += 1)}`
      // A key whose answer was lost is sent again, so that it counts once.
      while (!(await this.#send(key).catch(() => false))) await delay(RETRY_MS)
    }
  }

  async #send(key: string): Promise<boolean> {
    const response = await fetch(`${this.#url()}/v1/predictions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'respond-async' },
      body: JSON.stringify({ input: { text: `the text of ${key}` } }),
      signal: AbortSignal.timeout(15_000),
    })
    const body = (await response.json()) as { id: string }
    if (!response.ok) {
      this.lastRefusal = `${new Date().toISOString()} ${response.status} ${JSON.stringify(body)}`
      return false
    }
    this.#accepted.push({ id: body.id, at: performance.now() })
    return true
  }

  /** `missing` when it cannot be read any more; undefined while it has not ended, or Redis is away. */
  async #end(id: string): Promise<string | undefined> {
    const response = await fetch(`${this.#url()}/v1/predictions/${id}`)
    if (response.status === 404 || response.status === 410) return 'missing'
    const { status } = (await response.json()) as { status: string }
    return response.ok && ['succeeded', 'failed', 'canceled', 'aborted'].includes(status) ? status : undefined
  }

  /** @throws Error with any answer that is no page. */
  async #page(address: string): Promise<{ results: { id: string }[]; next: string | null }> {
    const response = await fetch(address)
    if (!response.ok) throw new Error(`the list answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as { results: { id: string }[]; next: string | null }
  }

  async #list(): Promise<string[]> {
    const ids: string[] = []
    let next: string | null = `${this.#url()}/v1/predictions`
    while (next !== null) {
      const address: string = next
      const page = await waitFor('a page of the list', () => this.#page(address), { within: 120_000, every: 100 })
      ids.push(...page.results.map(({ id }) => id))
      next = page.next
    }
    return ids
  }
}
