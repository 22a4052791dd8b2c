// A chosen file: what it is, its rows, and the file of a batch that is made of it.
import { describe, expect, it } from 'vitest'
import { sniff } from '../../../web/batches/input/format.js'
import { requestsOf } from '../../../web/batches/input/requests.js'
import { rowsOf } from '../../../web/batches/input/rows.js'

type Format = Parameters<typeof rowsOf>[1]

const bytesOf = (text: string) => new TextEncoder().encode(text)
const guess = (text: string, name = 'a.txt') => sniff(bytesOf(text), true, name)
const limits = { max_batch_lines: 1_000, max_upload_bytes: 1_000_000, max_body_bytes: 1_000 }

async function read(text: string, format: Format): Promise<unknown[]> {
  const rows = []
  for await (const row of rowsOf(new Blob([text]), format)) rows.push(row)
  return rows
}

function requests(text: string, format: Format, changed: Partial<typeof limits> = {}) {
  const options = { limits: { ...limits, ...changed }, signal: new AbortController().signal, onRead: () => undefined }
  return requestsOf(new Blob([text]), format, options)
}

describe('the format', () => {
  it('of a table, with the column of the texts', () => {
    const { format, columns, warnings } = guess('id,review\n1,good\n2,bad\n')
    expect(format).toEqual({ kind: 'csv', delimiter: ',', column: 'review', hasHeader: true })
    expect([columns, warnings]).toEqual([['id', 'review'], []])
    expect(guess('id,what they wrote\n1,a longer text\n').format).toMatchObject({ column: 'what they wrote' })
  })

  it('of lines, also with commas in them', () => {
    expect(guess('A text.\nAnother, longer one.\nOne, two, three.\n').format).toEqual({ kind: 'lines' })
  })

  it('of JSON lines, with their fields', () => {
    expect(guess('{"n": 1, "text": "a"}\n{"n": 2, "text": "b"}\n').format).toEqual({ kind: 'jsonl', column: 'text' })
    expect(guess('{"custom_id": "1", "body": {"inputs": "a"}}\n').format).toEqual({ kind: 'requests' })
  })

  it('of a table that two delimiters explain, with a warning', () => {
    const { warnings } = guess('a;b,c\n1;2,3\n4;5,6\n', 'a.csv')
    expect(warnings[0]).toMatch(/^Two delimiters fit: comma and semicolon/)
  })

  it.each([
    [new Uint8Array([0x89, 0x50, 0, 1]), 'binary'],
    [new Uint8Array([0xff, 0xfe, 65, 0]), 'UTF-16'],
    [new Uint8Array([0x50, 0x4b, 3, 4]), 'spreadsheet'],
    [new Uint8Array([0x1f, 0x8b, 8]), 'gunzip'],
    [new Uint8Array([0x66, 0xfc, 0x72]), 'not UTF-8'],
    [new Uint8Array(), 'is empty'],
    [bytesOf(' \n'), 'is empty'],
  ])('%# is refused with what to do', (bytes, message) => {
    expect(() => sniff(bytes, true, 'a.csv')).toThrow(message)
  })

  it('of one JSON list is refused with the command that splits it', () => {
    expect(() => guess('[{"text": "a"}]', 'a.json')).toThrow('jq -c')
  })

  it('of a sample that ends within a character', () => {
    const sample = bytesOf('a text with ä').slice(0, -1)
    expect(sniff(sample, false, 'a.txt').format).toEqual({ kind: 'lines' })
  })
})

describe('rows', () => {
  it('of each format', async () => {
    const csv = { kind: 'csv', delimiter: ',', column: 'b', hasHeader: true } as const
    expect(await read('a,b\n1,x\n2,"y, z"\n3\n', csv)).toEqual(['x', 'y, z', ''])
    expect(await read('1,x\n2,y\n', { ...csv, column: 'column 2', hasHeader: false })).toEqual(['x', 'y'])
    expect(await read('a\r\n\n b\n', { kind: 'lines' })).toEqual(['a', ' b'])
    expect(await read('{"t": "a"}\n{"t": ["b", "c"]}\n', { kind: 'jsonl', column: 't' })).toEqual(['a', ['b', 'c']])
  })

  it('that cannot be read are named', async () => {
    await expect(read('{"t": "a"}\n{"t"', { kind: 'jsonl', column: 't' })).rejects.toThrow('Line 2 is not valid JSON')
    await expect(read('{"t": 1}\n', { kind: 'jsonl', column: 't' })).rejects.toThrow('Line 1 has no text in "t"')
  })
})

describe('the file of a batch', () => {
  it('has a line for each row, with its number', async () => {
    const { file, rows } = await requests('{"t": "a"}\n{"t": ["b", "c"]}\n', { kind: 'jsonl', column: 't' })
    expect(rows).toBe(2)
    expect(
      (await file.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { custom_id: '1', body: { inputs: 'a' } },
      { custom_id: '2', body: { inputs: [['b', 'c']] } },
    ])
  })

  it('is the chosen file when that has requests', async () => {
    const text = '{"custom_id": "1", "body": {"inputs": "a"}}\n'
    expect(await (await requests(text, { kind: 'requests' })).file.text()).toBe(text)
  })

  it('stops at the first limit that is exceeded', async () => {
    const lines = { kind: 'lines' } as const
    await expect(requests('a\nb\nc\n', lines, { max_batch_lines: 2 })).rejects.toThrow('more than 2 rows')
    await expect(requests(`a\n${'b'.repeat(2_000)}\n`, lines)).rejects.toThrow('Row 2 is longer than 1000 B')
    await expect(requests('a\n', lines, { max_upload_bytes: 20 })).rejects.toThrow('larger than 20 B')
    await expect(requests('\n\n', lines)).rejects.toThrow('no rows')
  })
})
