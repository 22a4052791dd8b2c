// A caller that takes all that it gets: async predictions, a large batch, and as many open calls as are accepted. Runs in a
// process of its own, so that its client does not slow the measuring one.
import { setTimeout as delay } from 'node:timers/promises'
import { cancel, completed, create, linesOf, upload, withKey } from './batch-file.ts'
import { sentences } from './texts.ts'

export interface HeavyOrder {
  url: string
  key: string
  predictions: number
  lines: number
  openCalls: number
  textsPerCall: number
}

/** The accepted and refused requests of each kind so far. */
export interface HeavyCounts {
  predictions: { accepted: number; refused: number }
  calls: { accepted: number; refused: number }
}

const SUBMITTERS = 16
const POLL_MS = 200

process.once('message', (order: HeavyOrder) => void run(order))
process.once('disconnect', () => process.exit())

/** Messages: `only the batch` ends all but the batch, `counts` asks for the counts, `stop` cancels the batch and exits. */
async function run(order: HeavyOrder): Promise<void> {
  const { url, key, predictions, lines, openCalls, textsPerCall } = order
  const texts = sentences(4_096)
  const counts: HeavyCounts = { predictions: { accepted: 0, refused: 0 }, calls: { accepted: 0, refused: 0 } }
  const headers = { 'Content-Type': 'application/json', ...withKey(key) }
  let calling = true
  const post = async (path: string, body: object, of: keyof HeavyCounts) => {
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    await response.arrayBuffer()
    counts[of][response.ok ? 'accepted' : 'refused'] += 1
    if (!response.ok) await delay(Number(response.headers.get('retry-after') ?? 1) * 1_000)
    return response.ok
  }
  const stop = new AbortController()
  const batches = runBatches(order, await upload(url, linesOf(sentences(lines)), key), stop.signal)
  const textOf = (index: number) => texts[index % texts.length]
  let submitted = 0
  const submit = async () => {
    while (calling && submitted < predictions) {
      const number = (submitted += 1)
      while (calling && !(await post('/v1/predictions', { input: { text: textOf(number) } }, 'predictions')));
    }
  }
  const call = async (first: number) => {
    for (let index = first; calling; index += openCalls) {
      const inputs = Array.from({ length: textsPerCall }, (_, offset) => textOf(index + offset))
      await post('/predict', { inputs }, 'calls').catch(() => delay(1_000))
    }
  }
  const open = [
    ...Array.from({ length: SUBMITTERS }, submit),
    ...Array.from({ length: openCalls }, (_, index) => call(index)),
  ]
  await delay(1_000)
  process.send?.('started')
  process.on('message', (message) => {
    if (message === 'counts') process.send?.(counts)
    if (message === 'only the batch') {
      calling = false
      void Promise.all(open).then(async () => {
        while (!(await hasEnded(url, headers))) await delay(POLL_MS)
        process.send?.('only the batch')
      })
    }
    if (message === 'stop') {
      stop.abort()
      void batches.then(() => process.disconnect())
    }
  })
}

/** Runs batches of the file, one after the other. */
async function runBatches({ url, key }: HeavyOrder, file: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const id = await create(url, file, key)
    await completed(url, id, signal, key).catch(() => cancel(url, id, key))
  }
}

/** Whether no job of the higher lanes is left. */
async function hasEnded(url: string, headers: Record<string, string>): Promise<boolean> {
  const queue = (await (await fetch(`${url}/v1/queue`, { headers })).json()) as {
    models: Record<string, { work_seconds: { interactive: number; async: number } }>
  }
  return Object.values(queue.models).every(({ work_seconds: { interactive, async } }) => interactive + async < 0.05)
}
