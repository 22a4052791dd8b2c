import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { prettyLine } from '../../../src/launcher/pretty-log.ts'

test('a log line has time, level, process, message, error and other fields', () => {
  const time = new Date(2026, 0, 2, 3, 4, 5).toISOString()
  const line = JSON.stringify({ level: 40, time, process: 'api', model: 'cola', err: { message: 'gone' }, msg: 'slow' })
  expect(stripVTControlCharacters(prettyLine('api', line))).toBe('03:04:05 warn  api: slow (gone) {"model":"cola"}')
})

test.each(['no JSON', '{broken', '{"not":"a log line"}'])('%s is not reformatted', (line) => {
  expect(prettyLine('worker 2', line)).toBe(`worker 2: ${line}`)
})
