// Progress on a terminal and in a log.
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { showProgress } from '../../../src/cli/progress.ts'
import { type OutputStream, report, type Terminal } from '../../../src/cli/terminal.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

beforeEach(() => void vi.stubEnv('TERM', 'xterm'))
afterEach(() => void vi.unstubAllEnvs())

function start(isTTY: boolean, columns = 80) {
  const stderr: OutputStream = Object.assign(new PassThrough(), { isTTY, columns })
  const terminal = { stderr } as unknown as Terminal
  let text = ''
  stderr.on('data', (part: Buffer) => (text += part.toString()))
  const progress = showProgress(terminal, { unit: 'rows', total: 100 })
  /** What was written since the last call, with the time between. */
  const after = (ms: number) => {
    text = ''
    vi.advanceTimersByTime(ms)
    return text
  }
  return { progress, terminal, after, last: () => text }
}

it('is a bar that never fills the line and is erased at the end', () => {
  const { progress, terminal, after, last } = start(true, 60)
  progress.set(50)
  const drawn = after(500)
  expect(drawn).toMatch(/2K█+░+ 50 %  50 of 100 rows  100 rows\/s, 1s left/)
  // oxlint-disable-next-line no-control-regex -- the sequence that erases a line
  expect(drawn.replaceAll(/\r\u001b\[2K/g, '').length).toBeLessThan(60)
  report(terminal, 'a note')
  expect(last()).toContain('\r\u001b[2Kinferq: a note\n')
  progress.stop()
  expect(last().endsWith('\r\u001b[2K')).toBe(true)
  expect(after(5_000)).toBe('')
  report(terminal, 'the end')
  expect(last()).toBe('inferq: the end\n')
})

it('is a line every 10 s on a dumb terminal', () => {
  vi.stubEnv('TERM', 'dumb')
  const { after } = start(true)
  expect(after(10_000)).toBe('inferq: 0 of 100 rows (0 %), 0 rows/s, ? left\n')
})

it('is cut in a narrow terminal', () => {
  const { after } = start(true, 20)
  expect(after(500)).toBe('\r\u001b[2K0 %  0 of 100 rows…')
})

it('is a line every 10 s in a log', () => {
  const { progress, after } = start(false)
  expect(after(9_999)).toBe('')
  progress.set(20)
  expect(after(1)).toBe('inferq: 20 of 100 rows (20 %), 2 rows/s, 40s left\n')
})

it('never goes back', () => {
  const { progress, after } = start(false)
  progress.set(20)
  progress.set(10)
  expect(after(10_000)).toContain('20 of 100 rows')
})

it('states why it waits instead of a rate', () => {
  const { progress, after } = start(false)
  progress.setReason('validating on the server')
  expect(after(10_000)).toBe('inferq: 0 of 100 rows (0 %), validating on the server\n')
  progress.setReason(undefined)
  expect(after(10_000)).toContain('rows/s')
  progress.setReason('waiting')
  progress.set(0)
  expect(after(10_000)).toContain('waiting')
  progress.set(1)
  expect(after(10_000)).toContain('rows/s')
})

it('does not count rows before a restart for the rate', () => {
  const { progress, after } = start(false)
  progress.restart(80)
  expect(after(10_000)).toBe('inferq: 80 of 100 rows (80 %), 0 rows/s, ? left\n')
  progress.set(90)
  expect(after(10_000)).toContain('90 of 100 rows (90 %), 1 rows/s')
})
