// The secret that signs webhooks.
import type { Http } from '../http/http.ts'
import { randomKey } from '../http/random-key.ts'

export interface WebhookSecret {
  /** `whsec_…`, for `verifyWebhook`. */
  key: string
  /** Until then deliveries are signed with the previous secret too; null without one. */
  previous_expires_at: string | null
}

const PATH = '/v1/webhooks/default/secret'

export class WebhookCalls {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  /** @returns the secret of the API key, which is made at the first call. */
  secret(signal?: AbortSignal): Promise<WebhookSecret> {
    return this.#http.json('GET', PATH, { signal })
  }

  /** Replaces the secret; for a day deliveries are signed with both. @returns the new one. */
  replaceSecret(signal?: AbortSignal): Promise<WebhookSecret> {
    return this.#http.json('POST', PATH, {
      headers: { 'Idempotency-Key': randomKey() },
      isRepeatable: true,
      signal,
    })
  }
}
