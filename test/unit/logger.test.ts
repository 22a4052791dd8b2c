import { expect, it } from 'vitest'
import { messageOf } from '../../src/errors.ts'
import { describeError } from '../../src/logger.ts'
import { redisErrorHandler } from '../../src/redis/errors.ts'

const TEXT = "what\n    at the patient's home"

/** What reading a damaged record throws. */
function damaged(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    return error
  }
}

it.each([
  ['that is no JSON', TEXT],
  ['that ends early', `{"text":"${JSON.stringify(TEXT).slice(1, -1)}`],
  ['with something in its middle', `{"a":"${'b'.repeat(50)}",${TEXT},"c":"${'d'.repeat(50)}"}`],
  ['with a line break in a string', `{"text":"${TEXT}"}`],
  ['with something after its end', `{}${TEXT}`],
])('a stored record %s is logged without its text', (_what, json) => {
  const error = damaged(json)
  expect(error).toBeInstanceOf(SyntaxError)
  const logged = describeError(error) as { message: string; stack: string[] }
  expect(logged.message).toContain('JSON')
  expect(logged.stack[0]).toMatch(/^at /)
  const lines: string[] = []
  const logger = { warn: (_fields: object, message: string) => lines.push(message) }
  redisErrorHandler(logger as never, { inc: () => undefined })(new Error('a reply', { cause: error }))
  for (const written of [JSON.stringify(logged), messageOf(error), lines.join()]) {
    expect(written).not.toMatch(/what|patient|home/)
  }
  expect(lines.join()).toContain('JSON')
})

it('a command that Redis does not know is logged without its arguments', () => {
  const error = new Error(`ERR unknown command 'SET', with args beginning with: 'key' '${TEXT}' `)
  expect(describeError(error)).toMatchObject({ message: "ERR unknown command 'SET'" })
})

it.each(['', 'one line', 'two\nlines', '    at a place\n    at another'])(
  'a stack has the calls alone: %j',
  (message) => {
    const { stack } = describeError(new Error(message)) as { stack: string[] }
    expect(stack[0]).toMatch(/logger\.test\.ts/)
    expect(stack.length).toBeLessThanOrEqual(7)
  },
)

it('an error whose message changed later is logged with its calls', () => {
  const error = new Error('before')
  error.message = 'after'
  expect(describeError(error)).toMatchObject({
    message: 'after',
    stack: expect.arrayContaining([expect.stringContaining('logger.test.ts')]),
  })
})
