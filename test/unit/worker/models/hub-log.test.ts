import { expect, it } from 'vitest'
import type { Logger } from '../../../../src/logger.ts'
import { logHub } from '../../../../src/worker/models/hub-log.ts'

it('logs the progress of a download at most once a second, and always its end', () => {
  const lines: unknown[] = []
  let now = 0
  const hub = logHub(
    {
      info: (fields: object) => lines.push([fields, 'info']),
      warn: (fields: object) => lines.push([fields, 'warn']),
    } as unknown as Logger,
    () => now,
  )
  for (; now < 2_500; now += 100) hub.progress('a/b', 'onnx/model.onnx', now, 10_000)
  hub.progress('a/b', 'onnx/model.onnx', 10_000, 10_000)
  hub.progress('a/b', 'README.md', 7, undefined)
  now += 1_000
  hub.progress('a/b', 'README.md', 9, undefined)
  const of = (bytes: number, percent: number) => ({ model: 'a/b', file: 'onnx/model.onnx', bytes, percent })
  expect(lines).toEqual([
    [of(0, 0), 'warn'],
    [of(1_000, 10), 'warn'],
    [of(2_000, 20), 'warn'],
    [of(10_000, 100), 'info'],
    [{ model: 'a/b', file: 'README.md', bytes: 9, percent: undefined }, 'warn'],
  ])
})
