import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type InputLine, readLines } from '../../../../src/batches/input/jsonl.ts'

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(content: string | Buffer, size = 7, maxBytes = 100): Promise<InputLine[]> {
  const all: InputLine[] = []
  for await (const some of readLines(pieces(Buffer.from(content), size), maxBytes)) all.push(...some)
  return all
}
const texts = (lines: InputLine[]) => lines.map(({ bytes }) => bytes?.toString())

describe('readLines', () => {
  it.each([
    ['newlines', 'a\nb\n', ['a', 'b']],
    ['no last newline', 'a\nb', ['a', 'b']],
    ['carriage returns', 'a\r\nb\r\n', ['a', 'b']],
    ['a byte order mark', '\ufeffa\nb', ['a', 'b']],
    ['blank lines', '\n\na\n \t\r\n\nb\n\n', ['a', 'b']],
    ['an empty file', '', []],
    ['only newlines', '\n\r\n\n', []],
    ['characters of several bytes', 'é\n👩‍👩‍👧\n', ['é', '👩‍👩‍👧']],
  ])('reads %s', async (_title, content, expected) => {
    for (const size of [1, 2, 3, 1_000]) expect(texts(await read(content, size))).toEqual(expected)
  })

  it('numbers lines as an editor does, and returns the offset of the next one', async () => {
    expect((await read('\na\r\n\nbb')).map(({ number, next }) => [number, next])).toEqual([
      [2, 4],
      [4, 7],
    ])
  })

  it('drops only a line over the limit', async () => {
    const content = `a\n${'x'.repeat(101)}\n${'y'.repeat(100)}\r\n${'z'.repeat(10_000)}`
    for (const size of [1, 10, 99, 20_000]) {
      expect(texts(await read(content, size))).toEqual(['a', undefined, 'y'.repeat(100), undefined])
    }
  })

  it('continues at the position where another reader stopped', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 12 })),
        fc.integer({ min: 1, max: 9 }),
        async (given, size) => {
          const bytes = Buffer.from(given.join('\n'))
          const all = await read(bytes, size)
          for (const { number, next } of all) {
            const rest: InputLine[] = []
            for await (const some of readLines(pieces(bytes.subarray(next), size), 100, {
              offset: next,
              lines: number,
            }))
              rest.push(...some)
            expect(rest).toEqual(all.filter((line) => line.number > number))
          }
        },
      ),
    )
  })
})
