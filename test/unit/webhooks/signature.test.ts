// A delivery satisfies the verifiers of Standard Webhooks, Replicate and OpenAI, also during a rotation.
import { OpenAI } from 'openai'
import { validateWebhook } from 'replicate'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { signatureHeaders } from '../../../src/webhooks/signature.ts'

const secretOf = (text: string) => `whsec_${Buffer.from(text.padEnd(24, '.')).toString('base64')}`
const [current, previous, other] = [secretOf('current'), secretOf('previous'), secretOf('other')]
const body = JSON.stringify({ id: 'a', output: 'ü' })
const until = Date.now() + 60_000
const headers = signatureHeaders('msg_1', new Date(), body, { current, previous: { secret: previous, until } })
const openai = new OpenAI({ apiKey: 'none' })

describe.each([
  ['current', current],
  ['previous', previous],
])('with the %s secret', (_name, secret) => {
  it('is verified by standardwebhooks', () => {
    expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
  })

  it('is verified by replicate', async () => {
    const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`] ?? '')
    expect(await validateWebhook({ id, timestamp, signature, body, secret } as never)).toBe(true)
  })

  it('is verified by openai', async () => {
    expect(await openai.webhooks.unwrap(body, headers, secret)).toEqual(JSON.parse(body))
  })
})

it('is refused with another secret, and with another body', async () => {
  expect(() => new Webhook(other).verify(body, headers)).toThrow('No matching signature')
  expect(() => new Webhook(current).verify(`${body} `, headers)).toThrow('No matching signature')
  await expect(openai.webhooks.unwrap(body, headers, other)).rejects.toThrow('signature')
})
