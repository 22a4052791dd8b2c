// The route of the web page.
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { packagePath } from '../../package.ts'
import type { Context } from '../context.ts'
import type { Route } from '../http/route.ts'
import { route } from './route.ts'

const page = readFileSync(packagePath('web', 'index.html'), 'utf8')

export const pageRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/',
    operationId: 'getPage',
    tag: 'Pages',
    public: true,
    summary: 'Web page: classify a text, see the served models',
    responses: { 200: { description: 'HTML', contentType: 'text/html', schema: z.string() } },
    handler: () => ({ status: 200, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body: page }),
  }),
]
