// A server that speaks the part of S3 which the file store uses, in memory, for tests without a real one. It checks the
// access key, not the signature.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface S3StandIn {
  /** URL of the server. */
  endpoint: string
  /** Objects by key. */
  objects: Map<string, Buffer>
  /** Uploads in parts that have not ended, by id. */
  uploads: Map<string, Multipart>
  /** What it does otherwise than S3; tests set it. */
  faults: {
    ignoresIfNoneMatch?: boolean
    ignoresRange?: boolean
    full?: boolean
    error?: [status: number, code: string]
  }
  stop: () => Promise<void>
}

interface Multipart {
  key: string
  initiated: Date
  parts: Map<number, Buffer>
}

const PAGE = 100

class S3Error extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

interface Call {
  key: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: Buffer
  response: ServerResponse
}

export async function s3StandIn(bucket: string, accessKey: string): Promise<S3StandIn> {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Multipart>()
  const faults: S3StandIn['faults'] = {}

  const uploadOf = ({ query, key }: Call) => {
    const upload = uploads.get(query.get('uploadId') ?? '')
    if (upload?.key !== key) throw new S3Error(404, 'NoSuchUpload')
    return upload
  }
  const create = ({ key, headers, response }: Call, content: Buffer) => {
    if (headers['if-none-match'] === '*' && objects.has(key) && !faults.ignoresIfNoneMatch)
      throw new S3Error(412, 'PreconditionFailed')
    objects.set(key, content)
    response.setHeader('ETag', '"etag"')
  }
  const read = ({ key, headers, response }: Call) => {
    const content = objects.get(key)
    if (!content) throw new S3Error(404, 'NoSuchKey')
    const [, start = '0', end = '0'] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []
    if (headers.range === undefined || faults.ignoresRange) return content
    if (Number(start) >= content.length) throw new S3Error(416, 'InvalidRange')
    const last = Math.min(Number(end), content.length - 1)
    response.statusCode = 206
    response.setHeader('Content-Range', `bytes ${start}-${last}/${content.length}`)
    return content.subarray(Number(start), last + 1)
  }
  const list = ({ query }: Call) => {
    const prefix = query.get('prefix') ?? ''
    const after = query.get('continuation-token') ?? ''
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
    const page = keys.slice(0, PAGE)
    const contents = page.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')
    const more = keys.length > PAGE
    const token = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
    return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${token}${contents}</ListBucketResult>`
  }
  const listUploads = ({ query }: Call) => {
    const found = [...uploads].filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''))
    const items = found.map(
      ([id, { key, initiated }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`,
    )
    return `<ListMultipartUploadsResult>${items.join('')}</ListMultipartUploadsResult>`
  }
  const complete = (call: Call) => {
    const upload = uploadOf(call)
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part)
    create(call, Buffer.concat(parts))
    uploads.delete(call.query.get('uploadId') ?? '')
    return '<CompleteMultipartUploadResult/>'
  }
  const begin = ({ key }: Call) => {
    const id = randomUUID()
    uploads.set(id, { key, initiated: new Date(), parts: new Map() })
    return `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
  }
  const answer = (method: string, call: Call): string | Buffer | undefined => {
    const { query, key, body, response } = call
    if (method === 'GET' && key === '') return query.has('uploads') ? listUploads(call) : list(call)
    if (method === 'GET') return read(call)
    if (method === 'HEAD') {
      const content = objects.get(key)
      if (!content) throw new S3Error(404, 'NoSuchKey')
      response.setHeader('Content-Length', content.length)
    } else if (method === 'POST') return query.has('uploads') ? begin(call) : complete(call)
    else if (method === 'PUT' && faults.full) throw new S3Error(507, 'XMinioStorageFull')
    else if (method === 'PUT' && query.has('partNumber')) {
      uploadOf(call).parts.set(Number(query.get('partNumber')), body)
      response.setHeader('ETag', '"etag"')
    } else if (method === 'PUT') create(call, body)
    else if (method === 'DELETE') {
      if (query.has('uploadId')) uploads.delete(query.get('uploadId') ?? '')
      else objects.delete(key)
      response.statusCode = 204
    }
    return undefined
  }
  const server = createServer((request, response) => {
    void (async () => {
      try {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        const { pathname, searchParams } = new URL(request.url ?? '', 'http://stand-in')
        const [, asked, ...key] = decodeURIComponent(pathname).split('/')
        if (faults.error) throw new S3Error(...faults.error)
        if (!request.headers.authorization?.includes(`Credential=${accessKey}/`))
          throw new S3Error(403, 'InvalidAccessKeyId')
        if (asked !== bucket) throw new S3Error(404, 'NoSuchBucket')
        const call = { key: key.join('/'), query: searchParams, headers: request.headers, body: Buffer.concat(chunks) }
        response.end(answer(request.method ?? '', { ...call, response }))
      } catch (error) {
        if (!(error instanceof S3Error)) return void response.destroy()
        response.statusCode = error.status
        response.end(request.method === 'HEAD' ? '' : `<Error><Code>${error.code}</Code><Message>no</Message></Error>`)
      }
    })()
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    uploads,
    faults,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
