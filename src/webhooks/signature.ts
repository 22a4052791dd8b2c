// The headers of a delivery by Standard Webhooks (standardwebhooks.com), which the clients of Replicate and OpenAI verify.
import { Webhook } from 'standardwebhooks'
import type { WebhookSecrets } from '../records/webhook-secrets.ts'

/** @param at the time of the attempt: receivers refuse a signature that is older than a few minutes. */
export function signatureHeaders(
  id: string,
  at: Date,
  body: string,
  { current, previous }: WebhookSecrets,
): Record<string, string> {
  const secrets = [current, ...(previous === undefined ? [] : [previous.secret])]
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  }
}
