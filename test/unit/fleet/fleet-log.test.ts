// What changes in the fleet is logged once: workers that come, leave or vanish, and models without a worker.
import { expect, it } from 'vitest'
import { FleetLog } from '../../../src/fleet/fleet-log.ts'
import type { Logger } from '../../../src/logger.ts'

function setUp() {
  const lines: string[] = []
  const write = (level: string) => (fields: { worker?: string; model?: string }, message: string) =>
    lines.push(`${level} ${fields.worker ?? fields.model}: ${message}`)
  const log = new FleetLog({ info: write('info'), warn: write('warn') } as unknown as Logger)
  const worker = (id: string, state: 'running' | 'quiet' = 'running', model = 'cola') => {
    return { id, host: 'h', state, models: [{ name: model }] }
  }
  return { log, worker, take: () => lines.splice(0) }
}

it('logs nothing while nothing changes', () => {
  const { log, worker, take } = setUp()
  log.observe([worker('a')])
  log.observe([worker('a')])
  expect(take()).toEqual([])
})

it('logs a worker that vanished, its model without a worker, and its return', () => {
  const { log, worker, take } = setUp()
  log.observe([worker('a')])
  log.observe([])
  expect(take()).toEqual([
    'warn a: a worker vanished: it sent no heartbeat for 15 s',
    'warn cola: no live worker serves the model any more',
  ])
  log.observe([])
  expect(take()).toEqual([])
  log.observe([worker('b')])
  expect(take()).toEqual(['info b: a worker joined', 'info cola: a worker serves the model again'])
})

it('logs a worker that stopped as planned at info', () => {
  const { log, worker, take } = setUp()
  log.observe([worker('a'), worker('b')])
  log.observe([worker('a'), worker('b', 'quiet')])
  log.observe([worker('a')])
  expect(take()).toEqual(['info b: a worker left'])
})
