// Reading of inputs: line endings, byte order marks, quotes, blank lines, and the split into parts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type InputOptions, type Layout, layoutOf, rowsOf } from '../../../../../src/cli/batch/input/input-rows.ts'
import { openFile, type Source } from '../../../../../src/cli/batch/input/source.ts'
import { planOf, requestBytes } from '../../../../../src/cli/batch/plan.ts'
import { collect } from '../../../../helpers/collect.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-rows-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const never = new AbortController().signal
const limits = { lines: 50_000, bytes: 200 * 1_048_576, line: 1_048_576 }

async function opened(content: string | Buffer, input: Partial<InputOptions> = {}): Promise<[Source, Layout]> {
  const path = join(dir, 'input')
  writeFileSync(path, content)
  const source = await openFile(path)
  return [source, await layoutOf(source, { format: 'lines', delimiter: ',', options: {}, ...input })]
}

async function readAll(content: string | Buffer, input: Partial<InputOptions> = {}) {
  const [source, layout] = await opened(content, input)
  return collect(rowsOf(source, layout))
}

async function inputsOf(content: string | Buffer, input: Partial<InputOptions> = {}): Promise<unknown[]> {
  return (await readAll(content, input)).map(({ request }) => request.body['inputs'])
}

describe('plain lines', () => {
  it.each([
    ['LF', 'one\ntwo\n'],
    ['no final newline', 'one\ntwo'],
    ['CRLF', 'one\r\ntwo\r\n'],
    ['a byte order mark', '\ufeffone\ntwo\n'],
    ['blank lines', '\n  \none\n\r\n\ntwo\n\n'],
  ])('with %s', async (_what, content) => {
    expect(await inputsOf(content)).toEqual(['one', 'two'])
  })

  it('keep quotes, commas, line separators of Unicode, and a byte order mark after the start', async () => {
    const lines = ['"a", b', 'line\u2028separator', ' \ufeffmark', 'tab\tand\rreturn']
    expect(await inputsOf(lines.join('\n'))).toEqual(lines)
  })

  it('are numbered by row, not by line', async () => {
    const rows = await readAll('one\n\ntwo')
    expect(rows.map(({ request }) => request.custom_id)).toEqual(['row-1', 'row-2'])
  })

  it('must be UTF-8', async () => {
    await expect(inputsOf(Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a]))).rejects.toThrow(/not UTF-8 text .* byte 5/)
  })

  it('join a character that is split between two reads', async () => {
    const long = 'é'.repeat(300_000)
    expect(await inputsOf(`x${long}\nend`)).toEqual([`x${long}`, 'end'])
  })
})

describe('a table', () => {
  const csv = { format: 'csv' as const, column: 'text' }

  it.each([
    ['LF', 'id,text\n1,one\n2,two\n'],
    ['CRLF and no final newline', 'id,text\r\n1,one\r\n2,two'],
    ['mixed endings', 'id,text\r\n1,one\n2,two\r\n'],
    ['a byte order mark', '\ufeffid,text\n1,one\n2,two\n'],
    ['a byte order mark before the text column', '\ufefftext,id\none,1\ntwo,2\n'],
    ['blank lines', 'id,text\n\n1,one\n\n2,two\n\n'],
    ['unnecessary quotes', '"id","text"\n"1","one"\n"2","two"\n'],
  ])('with %s', async (_what, content) => {
    expect(await inputsOf(content, csv)).toEqual(['one', 'two'])
  })

  it('keeps commas, quotes and newlines of quoted cells', async () => {
    const rows = await readAll('id,text\n1,"a, ""b""\r\nc"\n2,\n', csv)
    expect(rows.map(({ content }) => content)).toEqual([{ cells: ['1', 'a, "b"\r\nc'] }, { cells: ['2', ''] }])
  })

  it('with another delimiter', async () => {
    expect(await inputsOf('id\ttext\n1\tone, two\n', { ...csv, delimiter: '\t' })).toEqual(['one, two'])
  })

  it('with pairs', async () => {
    expect(await inputsOf('text,b\nx,y\n', { ...csv, pairColumn: 'b' })).toEqual([[['x', 'y']]])
  })

  it('needs no --column for a single column, and names it', async () => {
    expect(await inputsOf('review\ngood\n', { format: 'csv' })).toEqual(['good'])
    const [, layout] = await opened('review\ngood\n', { format: 'csv' })
    expect(layout.notes).toEqual([expect.stringContaining('are in its only column, "review"')])
  })

  it.each([
    ['semicolons', 'id;text\n1;"one; two"\n', {}],
    ['tabs', 'id\ttext\n1\tone; two\n', {}],
    ['semicolons in a .tsv', 'id;text\n1;"one; two"\n', { delimiter: '\t' }],
    ['quoted names', '"id";"text"\n"1";"one; two"\n', {}],
    ['a given column', 'id;review\n1;"one; two"\n', { column: 'review' }],
  ])('finds another delimiter when the columns prove it: %s', async (_what, content, more) => {
    expect(await inputsOf(content, { format: 'csv', ...more })).toEqual(['one; two'])
    const [, layout] = await opened(content, { format: 'csv', ...more })
    expect(layout.notes).toEqual([expect.stringMatching(/are separated by a (semicolon|tab)/)])
  })

  it('keeps a given delimiter', async () => {
    await expect(inputsOf('id;text\n1;a\n', { format: 'csv', isDelimiterGiven: true, column: 'text' })).rejects.toThrow(
      'no such column "text"; the columns are "id;text"',
    )
  })

  it.each([
    ['semicolons', 'id;review\n1;She saw him.\n', `("id", "review"): give --delimiter ';' and --column`],
    ['tabs', 'id\treview\n1\tShe saw him.\n', `("id", "review"): give --delimiter '\\t' and --column`],
    ["Excel's first line", 'sep=;\nid;text\n1;a\n', 'an instruction for Excel: remove it'],
    ['no header', 'She saw him.\nHer saw he.\n', 'is it a header? If so, give --column "She saw him."'],
  ])('refuses instead of a guess: %s', async (_what, content, message) => {
    await expect(inputsOf(content, { format: 'csv' })).rejects.toThrow(message)
  })

  it.each([
    [
      'no such column',
      'id,text\n1,one\n',
      { column: 'review' },
      'no such column "review"; the columns are "id", "text"',
    ],
    ['no --column', 'id,review\n1,one\n', { column: undefined }, '--column is required, one of "id", "review"'],
    ['no such second column', 'id,text\n1,a\n', { pairColumn: 'b' }, 'no such column "b"'],
    ['a column twice', 'text,text\na,b\n', {}, 'two columns "text"'],
    ['a row too short', 'id,text\n1,one\n2\n', {}, 'line 3 has 1 columns, unlike the header'],
    ['an unclosed quote', 'id,text\n1,"one\n2,two\n', {}, 'opens a quote that is never closed'],
    ['an empty file', '', {}, 'is empty'],
  ])('reports %s', async (_what, content, more, message) => {
    await expect(inputsOf(content, { ...csv, ...more })).rejects.toThrow(message)
  })
})

describe('JSONL', () => {
  const jsonl = { format: 'jsonl' as const }

  it('of objects or strings, with blank lines, CRLF and a byte order mark', async () => {
    expect(await inputsOf('\ufeff{"text":"one","n":1}\r\n\r\n{"text":"two"}', jsonl)).toEqual(['one', 'two'])
    expect(await inputsOf('"one"\n"two"\n', jsonl)).toEqual(['one', 'two'])
  })

  it("of OpenAI's batch lines is unchanged; the command's options are defaults", async () => {
    const lines =
      '{"custom_id":"a","url":"/models/x","body":{"inputs":"hi","model":"own"}}\n{"custom_id":"b","body":{}}\n'
    const [source, layout] = await opened(lines, { ...jsonl, options: { model: 'given' } })
    expect(layout).toMatchObject({ kind: 'requests', endpoint: '/models/x' })
    const rows = await collect(rowsOf(source, layout))
    expect(rows.map(({ line }) => line)).toEqual([undefined, undefined])
    expect(rows.map(({ request }) => request)).toEqual([
      { custom_id: 'a', method: 'POST', url: '/models/x', body: { inputs: 'hi', model: 'own' } },
      { custom_id: 'b', method: 'POST', url: '/predict', body: { model: 'given' } },
    ])
  })

  it("uploads OpenAI's batch lines as they are without options", async () => {
    const lines = ['{"custom_id": "a", "body": {"inputs": "hi", "n": 1e400}}', '{"body":{},"custom_id":"b","x":1.0}']
    const [source, layout] = await opened(`${lines.join('\r\n')}\n`, jsonl)
    const plan = await planOf(source, layout, limits, never)
    const parts = await Promise.all(plan.parts.map((part) => collect(requestBytes(source, layout, part))))
    expect(Buffer.concat(parts.flat()).toString()).toBe(`${lines.join('\n')}\n`)
  })

  it('with another key for the text', async () => {
    expect(await inputsOf('{"review":"good"}', { ...jsonl, column: 'review' })).toEqual(['good'])
  })

  it.each([
    ['invalid JSON', '{"text":"a"}\n\n{"text"\n', 'line 3 is not JSON'],
    ['a number', '{"text":"a"}\n7\n', 'line 2 is neither an object'],
    ['a missing key', '{"text":"a"}\n{"body":"b"}\n', 'line 2 has no key "text", only body'],
    ['a line that is not a request', '{"custom_id":"a","body":{}}\n{"text":"b"}\n', 'line 2 has no custom_id'],
    ['only blank lines', '\n\n', 'has no rows'],
  ])('reports %s', async (_what, content, message) => {
    await expect(inputsOf(content, jsonl)).rejects.toThrow(message)
  })
})

it.each([
  ['lines', 'one\rtwo\r'],
  ['csv', 'id,text\r1,one\r'],
  ['jsonl', '{"text":"one"}\r{"text":"two"}'],
] as const)('rejects the line endings of old Macs: %s', async (format, content) => {
  await expect(opened(content, { format })).rejects.toThrow(
    'lines that end with CR, as on old Macs: convert it with tr',
  )
})

it.each([
  ['zip', Buffer.from('PK\u0003\u0004rest')],
  ['gzip', Buffer.from([0x1f, 0x8b, 8, 0])],
])('rejects a %s file', async (kind, content) => {
  await expect(opened(content)).rejects.toThrow(`is ${kind === 'zip' ? 'a zip file' : 'gzip'}`)
})

describe('a plan', () => {
  const table = `id,text\r\n${Array.from({ length: 25 }, (_, n) => `${n},"text ${n}, é\n${n}"\r\n\r\n`).join('')}`

  it.each([
    ['plain lines', 'lines', Array.from({ length: 25 }, (_, n) => `text ${n} é\r\n\n`).join('')],
    ['a table', 'csv', table],
    ['JSONL', 'jsonl', `\ufeff${Array.from({ length: 25 }, (_, n) => `{"text":"${n}é"}\n`).join('')}`],
  ] as const)('splits %s by lines, and the parts contain the rows of the whole', async (_what, format, content) => {
    const [source, layout] = await opened(content, { format })
    const plan = await planOf(source, layout, { ...limits, lines: 10 }, never)
    expect(plan.parts.map(({ row, rows }) => [row, rows])).toEqual([
      [0, 10],
      [10, 10],
      [20, 5],
    ])
    const whole = await collect(rowsOf(source, layout))
    const parts = plan.parts.map((part) => collect(rowsOf(source, layout, part, part.end)))
    expect((await Promise.all(parts)).flat()).toEqual(whole)
    expect(whole).toHaveLength(plan.total)
  })

  it('splits by the bytes of the upload, which no part exceeds', async () => {
    const [source, layout] = await opened('short\n'.repeat(100))
    const plan = await planOf(source, layout, { ...limits, bytes: 1_000 }, never)
    const sizes = plan.parts.map(async (part) => {
      return Buffer.concat(await collect(requestBytes(source, layout, part))).length
    })
    for (const size of await Promise.all(sizes)) expect(size).toBeLessThanOrEqual(1_000)
    expect(plan.parts.length).toBeGreaterThan(5)
  })

  it('rejects a row that exceeds the server limit', async () => {
    const [source, layout] = await opened(`fine\n${'x'.repeat(2_000)}\n`)
    await expect(planOf(source, layout, { ...limits, line: 1_000 }, never)).rejects.toThrow('row 2 is too long')
  })
})
