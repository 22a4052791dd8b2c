import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createSchemas } from '../../../src/api/routes/schema.ts'
import { AppError, type Problem } from '../../../src/errors.ts'
import { checked, checkedBody } from '../../../src/validation/check.ts'

const schemas = createSchemas({ maxInputs: 1_000, maxTextChars: 100 })

function problemsOf(schema: z.ZodType, value: unknown): string[] {
  try {
    checkedBody(schema, value)
  } catch (error) {
    const problems = (error as AppError).members['errors'] as Problem[]
    return problems.map(({ path, message }) => `${path}: ${message}`)
  }
  throw new Error('nothing was thrown')
}

describe('a message', () => {
  it.each<[string, z.ZodType, unknown, string]>([
    [
      'a triple',
      schemas.predict,
      { inputs: [['a', 'b', 'c']] },
      'inputs[0]: must be a pair of texts: [text, second text]',
    ],
    ['true in a list', schemas.predict, { inputs: ['a', true] }, 'inputs[1]: must be a text, or a pair of texts'],
    ['null in a list', schemas.predict, { inputs: ['a', null] }, 'inputs[1]: must be a text, or a pair of texts'],
    ['a number', schemas.predict, { inputs: 1 }, 'inputs: must be a text, a list of texts, or a list of pairs'],
    ['top_k of 0', schemas.predict, { inputs: 'a', parameters: { top_k: 0 } }, 'parameters.top_k: must be at least 1'],
    [
      'top_k of 1.5',
      schemas.predict,
      { inputs: 'a', parameters: { top_k: 1.5 } },
      'parameters.top_k: must be a whole number',
    ],
    ['a word', schemas.predict, { inputs: 'a', truncate: 'yes' }, 'truncate: must be true or false'],
    [
      'another word',
      schemas.predict,
      { inputs: 'a', truncation_direction: 'up' },
      'truncation_direction: must be "Right", "Left", "right" or "left"',
    ],
    [
      'input for inputs',
      schemas.predict,
      { input: 'a', inputs: 'a' },
      'input: is not a known field; did you mean inputs?',
    ],
    [
      'top_k outside of parameters',
      schemas.predict,
      { inputs: 'a', topK: 1 },
      'topK: is not a known field; did you mean parameters.top_k?',
    ],
    ['an unknown field', schemas.predict, { inputs: 'a', temperature: 1 }, 'temperature: is not a known field'],
    [
      'a bare input',
      schemas.prediction,
      { input: 'a' },
      'input: must be an object, such as {"text": "…"} or {"inputs": ["…", "…"]}',
    ],
    ['no input', schemas.prediction, {}, 'input: is missing'],
    ['a stream', schemas.prediction, { input: { text: 'a' }, stream: 'yes' }, 'stream: must be true or false'],
    [
      'metadata of a number',
      schemas.prediction,
      { input: { text: 'a' }, metadata: { a: 1 } },
      'metadata.a: must be a string',
    ],
    [
      'a long metadata name',
      schemas.prediction,
      { input: { text: 'a' }, metadata: { ['n'.repeat(99)]: '' } },
      `metadata.${'n'.repeat(64)}: has a name that is longer than 64 characters`,
    ],
    [
      'metadata that is a list',
      schemas.prediction,
      { input: { text: 'a' }, metadata: [] },
      'metadata: must be an object',
    ],
    [
      '__proto__ in metadata',
      schemas.prediction,
      JSON.parse('{"input":{"text":"a"},"metadata":{"__proto__":"a"}}'),
      'metadata.__proto__: is not allowed as the name of a field',
    ],
    [
      'no requests',
      schemas.batch,
      { requests: [], endpoint: '/predict', completion_window: '24h' },
      'requests: is empty',
    ],
  ])('names what is wrong with %s', (_what, schema, body, expected) => {
    expect(problemsOf(schema, body)).toEqual([expected])
  })

  it('never has the words of the schema library', () => {
    const bodies = [
      [],
      {},
      { inputs: {} },
      { input: [] },
      { requests: 7 },
      { parameters: { top_k: {} }, inputs: [[[]]] },
    ]
    const texts = bodies.flatMap((body) =>
      [schemas.predict, schemas.huggingFace, schemas.prediction, schemas.batch].flatMap((schema) =>
        problemsOf(schema, body),
      ),
    )
    expect(texts.filter((text) => /invalid|expected|too (?:big|small)|>=|<=|undefined/i.test(text))).toEqual([])
  })
})

describe('null', () => {
  it.each<[string, z.ZodType, object, object]>([
    [
      'an option of /predict',
      schemas.predict,
      {
        inputs: 'a',
        text: null,
        truncate: null,
        raw_scores: null,
        parameters: null,
        model: null,
        truncation_direction: null,
      },
      { inputs: 'a' },
    ],
    [
      'a parameter',
      schemas.huggingFace,
      { inputs: 'a', parameters: { top_k: null }, options: null },
      { inputs: 'a', parameters: {} },
    ],
    ['a second text', schemas.huggingFace, { inputs: [{ text: 'a', text_pair: null }] }, { inputs: [{ text: 'a' }] }],
    [
      'a field of a prediction',
      schemas.prediction,
      {
        input: { text: 'a', inputs: null },
        version: null,
        metadata: null,
        stream: null,
        webhook: null,
        webhook_events_filter: null,
      },
      { input: { text: 'a' } },
    ],
    [
      'a field of a batch',
      schemas.batch,
      {
        input_file_id: 'f',
        requests: null,
        endpoint: '/predict',
        completion_window: '24h',
        webhook: null,
        metadata: null,
      },
      { input_file_id: 'f', endpoint: '/predict', completion_window: '24h' },
    ],
  ])('of %s is the same as leaving it out', (_what, schema, body, expected) => {
    expect(checkedBody(schema, body)).toEqual(expected)
  })

  it('of a required field is missing', () => {
    expect(problemsOf(schemas.prediction, { input: null })).toEqual(['input: is missing'])
  })
})

describe('a refusal', () => {
  it('lists at most 100 problems, and says that there are more', () => {
    const refusal = refusalOf(() => checked(schemas.predict, { inputs: Array(1_000).fill(7) }))
    expect(refusal.members['errors']).toHaveLength(100)
    expect(refusal.message).toMatch(/^inputs\[0\]: .*; and more$/)
    expect(refusal.message.length).toBeLessThan(2_100)
  })

  it('is cut where names and messages are long', () => {
    const fields = Object.fromEntries(
      Array.from({ length: 64 }, (_, index) => [`${'\u0000'.repeat(5_000)}${index}`, 1]),
    )
    expect(JSON.stringify(refusalOf(() => checked(schemas.predict, fields)).members).length).toBeLessThan(64_000)
  })
})

function refusalOf(action: () => unknown): AppError {
  try {
    action()
  } catch (error) {
    if (error instanceof AppError) return error
  }
  throw new Error('nothing was refused')
}
