// Certificates for tests, made with openssl.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface CertificateFiles {
  cert: string
  key: string
}

/** A certificate authority whose files are in `dir`, and end with it. */
export class Authority {
  readonly #dir: string
  readonly #name: string
  readonly #key: string
  /** The file of its own certificate. */
  readonly ca: string

  constructor(dir: string, name: string) {
    this.#dir = dir
    this.#name = name
    this.ca = this.#path(`${name}.pem`)
    this.#key = this.#path(`${name}.key`)
    openssl('req', '-x509', ...NEW_KEY, '-keyout', this.#key, '-out', this.ca, '-subj', `/CN=${name}`, '-days', '2')
  }

  /** @param names in the form of subjectAltName: `IP:127.0.0.1`, `DNS:localhost`. */
  issue(subject: string, names = 'IP:127.0.0.1,DNS:localhost'): CertificateFiles {
    const [cert, key] = [this.#path(`${this.#name}-${subject}.pem`), this.#path(`${this.#name}-${subject}.key`)]
    const signed = ['-CA', this.ca, '-CAkey', this.#key, '-addext', `subjectAltName=${names}`]
    openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      key,
      '-out',
      cert,
      '-subj',
      `/CN=${subject}`,
      '-days',
      '1',
      ...signed,
    )
    return { cert, key }
  }

  #path(file: string): string {
    return join(this.#dir, file)
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
