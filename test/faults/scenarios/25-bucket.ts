import { createHash } from 'node:crypto'
import { BatchCaller, faultsIn, mixedLines } from '../../helpers/batches.ts'
import { s3StandIn } from '../../helpers/s3-stand-in.ts'
import { tcpProxy } from '../../helpers/tcp-proxy.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { spread } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const ACCESS_KEY = 'test-access-key'
const FAULT_MS = 2_000
/** Of each direction; a request of the store takes twice as long. */
const LATENCY_MS = 400
const WORDS = 20
/** Above the size from which an object is stored in parts. */
const LARGE = 6 * 1_048_576

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')

export const scenario: Scenario = {
  promise: 'A bucket of files that fails, is slow or away loses no file and no row, and an upload gets 200 or 503.',
  async run({ pick, start, acks, onEnd }) {
    const server = await s3StandIn('files', ACCESS_KEY)
    onEnd(() => server.stop())
    const proxy = await tcpProxy(server.endpoint)
    onEnd(() => proxy.stop())
    const apiEnv = {
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: 'test-secret-key',
      AWS_EC2_METADATA_DISABLED: 'true',
      FILES_URL: `s3://files?endpoint=${new URL(proxy.url).origin}`,
    }
    const cluster = await start({ apis: 2, apiEnv })
    const rows = pick(2_000, 12_000)
    const batch = await new BatchCaller(cluster.url).run(mixedLines(rows, WORDS))

    const statuses = new Map<number, number>()
    // The digest of each stored file.
    const contents = new Map<string, string>()
    const upload = async (api: number, bytes: number) => {
      const content = `${JSON.stringify({ filler: `${contents.size}`.padEnd(bytes, 'x') })}\n`
      const caller = new BatchCaller(cluster.apis[api]?.url ?? cluster.url)
      const response = await caller.upload(content).catch(() => undefined)
      const status = response?.status ?? 0
      const { id } = ((await response?.json().catch(() => undefined)) ?? {}) as { id?: string }
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status !== 200 || id === undefined) return
      acks.record(id)
      contents.set(id, digestOf(content))
    }
    const back: number[] = []
    const faults = { errors: 0, resets: 0, latency: 0 }
    const inject = [
      () => {
        server.faults.error = [500, 'InternalError']
        faults.errors += 1
      },
      () => {
        proxy.set('cut')
        faults.resets += 1
      },
      () => {
        proxy.set('latency', LATENCY_MS)
        faults.latency += 1
      },
      () => {
        server.faults.error = [503, 'SlowDown']
        faults.errors += 1
      },
    ]
    const uploads = new Period().every(100, () => upload(0, 1_000)).every(3_000, () => upload(1, LARGE))
    onEnd(() => uploads.end())
    const running = uploads.last(3_600_000)
    running.catch(() => undefined)
    for (let fault = 0; fault < pick(4, 24); fault += 1) {
      inject[fault % inject.length]?.()
      await new Period().last(FAULT_MS)
      delete server.faults.error
      proxy.set('pass')
      const since = Date.now()
      const before = contents.size
      await waitFor('an upload to be stored', () => contents.size > before, { within: 120_000 })
      back.push(Date.now() - since)
    }
    uploads.end()
    await running

    const caller = new BatchCaller(cluster.url)
    const found = await faultsIn(caller, await caller.ended(batch.id, 280_000), rows)
    let lost = 0
    for (const id of acks.read()) {
      const response = await caller.call(`/v1/files/${id}/content`)
      if (response.status !== 200 || digestOf(await response.text()) !== contents.get(id)) lost += 1
    }
    const stored = contents.size
    const refused = statuses.get(503) ?? 0
    const other = [...statuses].filter(([status]) => status !== 200 && status !== 503)
    return {
      faults: `a bucket that answers 500 or 503 (${faults.errors} ×), resets connections (${faults.resets} ×) or answers ${2 * LATENCY_MS} ms later (${faults.latency} ×), each for ${FAULT_MS / 1_000} s, under uploads and a batch of ${rows} rows on 2 apis`,
      figure: `uploads stored ${stored}, refused with 503 ${refused}, lost ${lost}; rows ${rows}, faults ${found.length}; stored again after ${spread(back)}`,
      checks: [
        ...found.map((fault): [string, boolean] => [fault, false]),
        [`${lost} stored files cannot be read`, lost === 0],
        [`uploads were answered with ${other.map(([status]) => status).join()}`, other.length === 0],
        ['uploads were stored, and refused', stored > 0 && refused > 0],
        ['a process ended', cluster.crashes === 0],
      ],
    }
  },
}
