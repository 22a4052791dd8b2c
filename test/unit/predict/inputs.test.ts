import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parseJson as parseWithin } from '../../../src/api/http/json-body.ts'
import { createSchemas } from '../../../src/api/routes/schema.ts'
import { AppError } from '../../../src/errors.ts'
import { inputsOf, inputsOfHuggingFace } from '../../../src/predict/inputs.ts'
import { checked } from '../../../src/validation/check.ts'

const schemas = createSchemas({ maxInputs: 3, maxTextChars: 10 })

const parseJson = (bytes: Buffer) => parseWithin(bytes, schemas.limits)

function problemOf(action: () => unknown): AppError {
  try {
    action()
  } catch (error) {
    return error as AppError
  }
  throw new Error('nothing was thrown')
}
const refuse = (body: unknown) => problemOf(() => checked(schemas.predict, body))
const paths = (body: unknown) => (refuse(body).members['errors'] as Array<{ path: string }>).map(({ path }) => path)
const bytes = (text: string) => Buffer.from(text)

describe('parseJson', () => {
  it('reads an object', () => {
    expect(parseJson(bytes('{"inputs":"a"}'))).toEqual({ inputs: 'a' })
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half an object', bytes('{"inputs":')],
    ['a bare string', bytes('"text"')],
    ['null', bytes('null')],
    ['a number', bytes('1')],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    ['gzip that was not inflated', gzipSync('{}')],
  ])('answers 400 to %s', (_what, body) => {
    expect(problemOf(() => parseJson(body)).status).toBe(400)
  })

  it('answers 422 to a list at the top, and to what is nested too deep', () => {
    expect(problemOf(() => parseJson(bytes('[1]'))).status).toBe(422)
    expect(problemOf(() => parseJson(bytes(`{"a":${'['.repeat(16)}${']'.repeat(16)}}`))).status).toBe(422)
    expect(() => parseJson(bytes(`{"a":${'['.repeat(15)}${']'.repeat(15)}}`))).not.toThrow()
  })

  it('survives a body of nothing but brackets', () => {
    const deep = 400_000
    expect(problemOf(() => parseJson(bytes(`{"a":${'['.repeat(deep)}${']'.repeat(deep)}}`))).status).toBe(422)
  })
})

describe('a message', () => {
  it('is said for people', () => {
    expect(problemOf(() => checked(schemas.prediction, {})).message).toContain('input: is missing')
    expect(refuse({ inputs: 'a', model: 7 }).message).toBe('model: must be a string')
  })
})

describe('the body of /predict', () => {
  it.each([
    ['a text', { inputs: 'a' }, [{ text: 'a' }], true],
    ['text, the alias', { text: 'a' }, [{ text: 'a' }], true],
    ['a list', { inputs: ['a', 'b'] }, [{ text: 'a' }, { text: 'b' }], false],
    ['pairs', { inputs: [['a', 'b'], ['c']] }, [{ text: 'a', pair: 'b' }, { text: 'c' }], false],
    ['controls, NUL and emoji', { inputs: '\0\u0007👩‍👩‍👧' }, [{ text: '\0\u0007👩‍👩‍👧' }], true],
  ])('takes %s', (_what, body, items, single) => {
    expect(inputsOf(checked(schemas.predict, body))).toMatchObject({ items, single, truncate: 'right' })
  })

  it('reads the options', () => {
    const body = { inputs: 'a', truncation_direction: 'Left', raw_scores: true, parameters: { top_k: 1 } }
    expect(inputsOf(checked(schemas.predict, body))).toMatchObject({
      truncate: 'left',
      scores: { fn: 'none', topK: 1 },
    })
    expect(inputsOf(checked(schemas.predict, { inputs: 'a', truncate: false })).truncate).toBe('no')
  })

  it.each([
    ['nothing', {}, ['inputs']],
    ['both inputs and text', { inputs: 'a', text: 'b' }, ['inputs']],
    ['a number', { inputs: 1 }, ['inputs']],
    ['a number in the list', { inputs: ['a', 2] }, ['inputs[1]']],
    ['an empty text', { inputs: '' }, ['inputs']],
    ['a blank text in the list', { inputs: ['a', ' \n'] }, ['inputs[1]']],
    ['an empty list', { inputs: [] }, ['inputs']],
    ['too many', { inputs: ['a', 'b', 'c', 'd'] }, ['inputs']],
    ['a long text', { inputs: ['x'.repeat(11)] }, ['inputs[0]']],
    ['half a surrogate pair', { inputs: 'a\ud800' }, ['inputs']],
    ['a triple', { inputs: [['a', 'b', 'c']] }, ['inputs[0]']],
    ['an unknown field', { inputs: 'a', nonsense: 1 }, ['nonsense']],
    ['__proto__', JSON.parse('{"inputs":"a","__proto__":{"x":1}}'), ['__proto__']],
    ['constructor', JSON.parse('{"inputs":"a","constructor":{"x":1}}'), ['constructor']],
    ['a wrong type', { inputs: 'a', truncate: 'yes' }, ['truncate']],
    ['a conflict', { inputs: 'a', raw_scores: true, parameters: { function_to_apply: 'sigmoid' } }, ['raw_scores']],
    ['two things at once', { inputs: ['', 'x'.repeat(11)], model: 7 }, ['inputs[0]', 'inputs[1]', 'model']],
  ])('answers 422 with the path to %s', (_what, body, expected) => {
    expect(refuse(body).status).toBe(422)
    expect(paths(body).sort()).toEqual([...expected].sort())
  })

  it('never repeats what was sent', () => {
    const secret = 'tell nobody this text'
    expect(JSON.stringify(refuse({ inputs: [secret], truncation_direction: secret }))).not.toContain(secret)
    expect(refuse({ inputs: [secret] }).message).not.toContain(secret)
  })

  it('tells an empty text from an invalid one', () => {
    expect(refuse({ inputs: '' }).type).toBe('Empty')
    expect(refuse({ inputs: 1 }).type).toBe('Validation')
  })
})

it("takes Hugging Face's bodies", () => {
  const body = checked(schemas.huggingFace, { inputs: { text: 'a', text_pair: 'b' }, parameters: { top_k: 2 } })
  expect(inputsOfHuggingFace(body)).toMatchObject({ items: [{ text: 'a', pair: 'b' }], scores: { topK: 2 } })
})
