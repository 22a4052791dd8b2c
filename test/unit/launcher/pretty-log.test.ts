import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { readable } from '../../../src/launcher/pretty-log.ts'

test('a log line becomes time, level, who, message, error, rest', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).toISOString()
  const line = JSON.stringify({ level: 40, time, process: 'api', model: 'cola', err: { message: 'gone' }, msg: 'slow' })
  expect(stripVTControlCharacters(readable('api', line))).toBe('03:04:05 warn  api: slow (gone) {"model":"cola"}')
})

test.each(['no JSON', '{broken', '{"not":"a log line"}'])('%s is shown as it is', (line) => {
  expect(readable('worker 2', line)).toBe(`worker 2: ${line}`)
})
