import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventLoopTurns } from '../../../../src/batches/event-loop-turns.ts'
import { MAX_PROBLEMS, validate } from '../../../../src/batches/input/validate.ts'

const body = { depth: 4, entries: 10, fields: 10, values: 50, advice: 'send less' }
const limits = { maxLines: 1_000, maxLineBytes: 200, body }
const line = (more: object) => JSON.stringify({ custom_id: 'a', method: 'POST', url: '/predict', body: {}, ...more })

async function* inPieces(content: string | Buffer): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content)
  for (let at = 0; at < bytes.length; at += 50) yield bytes.subarray(at, at + 50)
}
const check = (content: string | Buffer, more = {}) =>
  validate(inPieces(content), '/predict', { ...limits, ...more }, new EventLoopTurns())
const codes = async (content: string | Buffer) =>
  (await check(content)).problems.map(({ code, line: number }) => [code, number])

describe('validate', () => {
  it('counts the requests of a valid file with any line endings', async () => {
    const content = `\ufeff${line({})}\r\n\r\n${line({ custom_id: 'b' })}\n\n${line({ custom_id: 'c' })}`
    expect(await check(content)).toEqual({ requests: 3, problems: [] })
  })

  it('does not validate bodies, which fail their own rows in the run', async () => {
    const content = `${line({ body: 'nonsense' })}\n${line({ custom_id: 'b', body: { inputs: 'a\ud800' } })}`
    expect((await check(content)).problems).toEqual([])
  })

  it('accepts a line without method and url', async () => {
    expect((await check('{"custom_id":"a","body":{}}')).problems).toEqual([])
  })

  it.each([
    ['half an object', '{"custom_id":', 'invalid_json_line'],
    ['a list', '[1]', 'invalid_json_line'],
    ['a bare string', '"a"', 'invalid_json_line'],
    ['null', 'null', 'invalid_json_line'],
    ['only brackets', '['.repeat(150), 'invalid_json_line'],
    ['no custom_id', '{"body":{}}', 'missing_custom_id'],
    ['a number as custom_id', line({ custom_id: 7 }), 'invalid_custom_id'],
    ['null as custom_id', line({ custom_id: null }), 'invalid_custom_id'],
    ['an empty custom_id', line({ custom_id: '' }), 'invalid_custom_id'],
    ['NUL in a custom_id', line({ custom_id: 'a\0b' }), 'invalid_custom_id'],
    ['half a surrogate pair in a custom_id', line({ custom_id: 'a\ud800' }), 'invalid_custom_id'],
    ['another endpoint', line({ url: '/v1/chat/completions' }), 'mismatched_url'],
    ['another method', line({ method: 'GET' }), 'invalid_method'],
    ['a line over the limit', line({ body: 'x'.repeat(200) }), 'line_too_long'],
    ['__proto__ instead of fields', '{"__proto__":{"custom_id":"a"}}', 'missing_custom_id'],
  ])('rejects %s, with its line', async (_title, bad, code) => {
    expect(await codes(`${line({ custom_id: 'good' })}\n\n${bad}\n${line({ custom_id: 'z' })}`)).toEqual([[code, 3]])
  })

  it('rejects invalid UTF-8', async () => {
    const bad = Buffer.concat([Buffer.from('{"custom_id":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])
    expect(await codes(Buffer.concat([Buffer.from(`${line({})}\n`), bad]))).toEqual([['invalid_encoding', 2]])
  })

  it('rejects a duplicate id and names the line of its first use', async () => {
    const { problems } = await check(`${line({})}\n${line({ custom_id: 'b' })}\n${line({})}`)
    expect(problems).toMatchObject([
      { code: 'duplicate_custom_id', line: 3, message: expect.stringContaining('Line 1') },
    ])
  })

  it.each([
    ['an empty file', '', 'empty_file'],
    ['a file of blank lines', '\n\r\n \n', 'empty_file'],
    ['a zip', Buffer.concat([Buffer.from('PK\u0003\u0004'), Buffer.alloc(300, 10)]), 'invalid_file'],
    ['gzip', gzipSync(`${line({})}\n`.repeat(100)), 'invalid_file'],
  ])('rejects %s as a whole', async (_title, content, code) => {
    const { problems } = await check(content)
    expect(problems.map((problem) => [problem.code, problem.line])).toEqual([[code, null]])
  })

  it('reports the first 100 of 10,000 invalid lines', async () => {
    const { problems } = await check('nonsense\n'.repeat(10_000), { maxLines: 50_000 })
    expect([problems.length, problems[0]?.line, problems.at(-1)?.line]).toEqual([MAX_PROBLEMS, 1, MAX_PROBLEMS])
  })

  it('rejects a request over the limit of lines', async () => {
    const content = Array.from({ length: 3 }, (_, index) => line({ custom_id: `${index}` })).join('\n')
    expect((await check(content, { maxLines: 3 })).problems).toEqual([])
    expect((await check(content, { maxLines: 2 })).problems).toMatchObject([{ code: 'too_many_lines', line: 3 }])
  })

  it('takes a line with too many values as a request, which is refused without being parsed', async () => {
    const large = (body: string) => `{"custom_id":"a","method":"GET","body":{"inputs":${body}}}\n`
    expect(await codes(large(`[${Array(60).fill(1).join(',')}]`))).toEqual([])
    expect(await codes(`{"body":[[[[[[]]]]]]}`)).toEqual([['missing_custom_id', 1]])
  })

  it('does not copy input into problems', async () => {
    const secret = 'a secret text'
    const { problems } = await check([secret, line({ url: secret }), line({ custom_id: `\0${secret}` })].join('\n'))
    expect(problems).toHaveLength(3)
    expect(JSON.stringify(problems)).not.toContain(secret)
  })
})

describe('generated files', () => {
  const good = fc.nat(1_000_000).map((id) => ({ text: line({ custom_id: `id-${id}` }), id, isGood: true }))
  const bad = fc
    .oneof(
      fc.constantFrom(
        '{',
        '[]',
        'null',
        '{"body":{}}',
        line({ custom_id: '' }),
        line({ url: '/other' }),
        'x'.repeat(201),
      ),
      fc.string({ maxLength: 40 }).map((each) => `"${each.replaceAll(/[\n\r"\\]/g, '')}`),
    )
    .map((text) => ({ text, id: -1, isGood: false }))
  const blank = fc.constantFrom('', ' ', '\t').map((text) => ({ text, id: -1, isGood: true }))
  const lines = fc.uniqueArray(fc.oneof(good, bad, blank), {
    maxLength: 40,
    selector: ({ id, text }) => (id === -1 ? Symbol(text) : id),
  })

  it('have a problem for exactly their bad lines, with its number, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.constantFrom('\n', '\r\n'), fc.boolean(), async (given, newline, ends) => {
        const content = given.map(({ text }) => text).join(newline) + (ends ? newline : '')
        const { requests, problems } = await check(content)
        const expected = given.flatMap(({ isGood }, index) => (isGood ? [] : [index + 1]))
        const written = given.filter(({ text }) => text.trim() !== '').length
        if (written > 0) expect([requests, problems.map((each) => each.line)]).toEqual([written, expected])
        else expect(problems).toHaveLength(1)
      }),
      { numRuns: 300 },
    )
  })
})
