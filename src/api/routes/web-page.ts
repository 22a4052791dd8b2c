// What a browser opens.
import { readFileSync } from 'node:fs'
import { z } from '../zod.ts'
import { type Route, route } from '../http/route.ts'

const page = readFileSync(new URL('../../../web/index.html', import.meta.url), 'utf8')

export const pageRoutes: Route[] = [
  route({
    method: 'get',
    path: '/',
    tag: 'Pages',
    open: true,
    summary: 'The page: try a text, see what is served',
    responses: { 200: { description: 'HTML', contentType: 'text/html', schema: z.string() } },
    handler: () => ({ status: 200, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body: page }),
  }),
]
