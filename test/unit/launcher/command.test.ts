import { beforeEach, expect, it, vi } from 'vitest'
import { readArguments, remediesOf } from '../../../src/launcher/command.ts'

let output: string
beforeEach(() => {
  output = ''
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      output += String(text)
      return true
    })
  }
})

it('makes settings of the options', () => {
  const args = ['./a', 'owner/b', '--port', '8001', '-w', '2', '--redis', 'redis://h', '--data', 'kept', '--open']
  expect(readArguments(args, true, '/home/me')).toEqual({
    models: ['./a', 'owner/b'],
    env: { PORT: '8001', WORKERS: '2', REDIS_URL: 'redis://h', DATA_DIR: '/home/me/kept' },
    open: true,
  })
  expect(readArguments([], false, '/')).toEqual({ models: [], env: {}, open: false })
})

it.each([
  [['--prot', '1'], 2, /^inferq: unknown option '--prot'\n\(Did you mean --port\?\)\nHelp: inferq serve --help\n$/],
  [['--port', '70000'], 2, /^inferq: .* argument '70000' is invalid\. It must be a whole number from 0 to 65535\.\n/],
  [['--workers', '65'], 2, /It must be a whole number from 0 to 64\./],
  [['--data'], 2, /^inferq: option '-d, --data <folder>' argument missing\n/],
  [['--help'], 0, /Examples:\n {2}\$ inferq serve \.\/my-classifier --open\n[\s\S]*MAX_INPUTS/],
])('%j ends with %s', (args, code, message) => {
  expect(readArguments(args, true, '/')).toBe(code)
  expect(output).toMatch(message)
})

it('writes help and remedies in the words of the command', () => {
  expect(readArguments(['--help'], false, '/')).toBe(0)
  expect(output).toContain('$ npm start -- ./my-classifier --open')
  expect(remediesOf(false).port(8001)).toBe('PORT=8001 npm start')
  expect(remediesOf(true).port(8001)).toBe('inferq serve --port 8001')
})
