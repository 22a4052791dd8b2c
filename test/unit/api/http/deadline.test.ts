// The end of a request's wait.
import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { ClientDisconnectedError, startDeadline } from '../../../../src/api/http/deadline.ts'

const HOUR = 3_600_000

function client() {
  const events = new EventEmitter()
  const onDisconnect = (listener: () => void) => {
    events.on('close', listener)
    return () => void events.off('close', listener)
  }
  return { onDisconnect, disconnect: () => events.emit('close'), listeners: () => events.listenerCount('close') }
}

const open = () => new AbortController().signal

it('ends with the timeout, and its signal aborts with the error', async () => {
  const deadline = startDeadline(1, client(), open())
  await new Promise<void>((resolve) => void deadline.listen(resolve))
  expect(deadline.reason).toMatchObject({ status: 504 })
  expect(deadline.signal.reason).toBe(deadline.reason)
})

it('ends when the client disconnects', () => {
  const caller = client()
  const deadline = startDeadline(HOUR, caller, open())
  const { signal } = deadline
  caller.disconnect()
  expect(deadline.reason).toBeInstanceOf(ClientDisconnectedError)
  expect(signal.reason).toBe(deadline.reason)
})

it('ends at the shutdown, and one that starts later has ended', () => {
  const shutdown = new AbortController()
  const deadlines = [1, 2].map(() => startDeadline(HOUR, client(), shutdown.signal))
  shutdown.abort()
  for (const deadline of [...deadlines, startDeadline(HOUR, client(), shutdown.signal)]) {
    expect(deadline.reason?.message).toContain('shutting down')
  }
})

it('calls each listener once, unless it was removed, and a late one immediately', () => {
  const calls: string[] = []
  const deadline = startDeadline(HOUR, client(), open())
  deadline.listen(() => calls.push('kept'))
  deadline.listen(() => calls.push('removed'))()
  deadline.end()
  deadline.end()
  deadline.listen(() => calls.push('late'))
  expect(calls).toEqual(['kept', 'late'])
})

it('leaves no listener when it ends, and keeps its first reason', () => {
  const caller = client()
  const deadline = startDeadline(HOUR, caller, open())
  expect(caller.listeners()).toBe(1)
  deadline.end()
  const { reason } = deadline
  expect(caller.listeners()).toBe(0)
  caller.disconnect()
  expect(deadline.reason).toBe(reason)
})
