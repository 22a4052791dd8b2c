// The route of the web page. What it loads is served by page-files.ts.
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { packagePath } from '../../package.ts'
import type { Context } from '../context.ts'
import type { Route } from '../http/route.ts'
import { route } from './route.ts'

const page = readFileSync(packagePath('web', 'index.html'), 'utf8')

/** Stricter than that of other pages: scripts and styles are files of this server. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'self'",
].join('; ')

const headers = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': POLICY,
  'Cache-Control': 'no-cache',
}

export const pageRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/',
    operationId: 'getPage',
    tag: 'Pages',
    public: true,
    summary: 'Web page: try a text, run a file as a batch, watch the service',
    responses: { 200: { description: 'HTML', contentType: 'text/html', schema: z.string() } },
    handler: () => ({ status: 200, headers, body: page }),
  }),
]
