// Signatures of webhooks, against the package of Standard Webhooks in both directions.
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { signWebhook, verifyWebhook, WebhookError } from '../../../src/client/webhook-signature.ts'
import { signatureHeaders } from '../../../src/webhooks/signature.ts'

const secretOf = (text: string) => `whsec_${Buffer.from(text.padEnd(24, '.')).toString('base64')}`
const [secret, previous, other] = [secretOf('current'), secretOf('previous'), secretOf('other')]
const body = JSON.stringify({ id: 'a', output: 'ü' })
const now = new Date()
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000)
const headers = signedAt(now)

function signedAt(at: Date, signature = new Webhook(secret).sign('msg_1', at, body)) {
  const timestamp = String(Math.floor(at.getTime() / 1_000))
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': timestamp, 'webhook-signature': signature }
}

describe('verifyWebhook', () => {
  it.each([
    ['an object', headers],
    ['Headers', new Headers(headers)],
    ['an object with other cases', { 'Webhook-Id': 'msg_1', ...signedAt(now) }],
    ['a list of values', { ...headers, 'webhook-signature': ['v1,AAAA', headers['webhook-signature']] }],
  ])('accepts what standardwebhooks signs, with headers as %s', async (_what, given) => {
    expect(await verifyWebhook(body, given, { secret })).toEqual(JSON.parse(body))
    expect(await verifyWebhook(new TextEncoder().encode(body), given, { secret })).toEqual(JSON.parse(body))
  })

  it.each([
    ['one of several signatures', { secret: previous }],
    ['one of several secrets', { secret: [other, secret] }],
  ])('accepts %s, as during a rotation', async (_what, options) => {
    const until = Date.now() + 60_000
    const rotating = signatureHeaders('msg_1', now, body, { current: secret, previous: { secret: previous, until } })
    expect(await verifyWebhook(body, rotating, options)).toEqual(JSON.parse(body))
  })

  it.each([
    ['another secret', body, headers, other],
    ['another body', `${body} `, headers, secret],
    ['another id', body, { ...headers, 'webhook-id': 'msg_2' }, secret],
    ['another time', body, { ...headers, 'webhook-timestamp': signedAt(later(1))['webhook-timestamp'] }, secret],
    ['another version', body, signedAt(now, headers['webhook-signature'].replace('v1,', 'v2,')), secret],
    ['no base64', body, signedAt(now, 'v1,?'), secret],
    [
      'a signature after many wrong ones',
      body,
      signedAt(now, `${'v1,AAAA '.repeat(99)}${headers['webhook-signature']}`),
      secret,
    ],
  ])('refuses %s', async (_what, given, givenHeaders, givenSecret) => {
    const verified = verifyWebhook(given, givenHeaders, { secret: givenSecret })
    await expect(verified).rejects.toThrow(WebhookError)
    await expect(verified).rejects.toThrow('no signature matches')
  })

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('requires %s', async (name) => {
    await expect(verifyWebhook(body, { ...headers, [name]: undefined }, { secret })).rejects.toThrow('are required')
  })

  it.each([
    [-400, 'older than 300 s'],
    [400, 'ahead of this clock'],
  ])('refuses a timestamp of now %i s', async (seconds, message) => {
    const given = signedAt(later(seconds))
    await expect(verifyWebhook(body, given, { secret, now: later(0) })).rejects.toThrow(message)
    expect(() => new Webhook(secret).verify(body, given)).toThrow('timestamp')
    expect(await verifyWebhook(body, given, { secret, now, tolerance: 401 })).toEqual(JSON.parse(body))
  })

  it.each(['1.5', '-1', 'soon', ''])('refuses "%s" as a timestamp', async (timestamp) => {
    await expect(verifyWebhook(body, { ...headers, 'webhook-timestamp': timestamp }, { secret })).rejects.toThrow(
      WebhookError,
    )
  })

  it.each(['', 'whsec_', 'whsec_?'])('rejects "%s" as a secret', async (given) => {
    await expect(verifyWebhook(body, headers, { secret: given })).rejects.toThrow(TypeError)
  })

  it('rejects an authentic body that is not JSON', async () => {
    const given = signedAt(now, new Webhook(secret).sign('msg_1', now, 'text'))
    await expect(verifyWebhook('text', given, { secret })).rejects.toThrow('not JSON')
  })
})

describe('signWebhook', () => {
  it('makes the signature of standardwebhooks, which verifies it', async () => {
    const signature = await signWebhook('msg_1', now, body, secret)
    expect(signature).toBe(new Webhook(secret).sign('msg_1', now, body))
    expect(new Webhook(secret).verify(body, signedAt(now, signature))).toEqual(JSON.parse(body))
  })
})
