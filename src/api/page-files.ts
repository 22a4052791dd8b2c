// The files of the web page: its own modules and styles, and the library of its charts.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import compression from 'compression'
import express, { type RequestHandler, Router } from 'express'
import { packagePath } from '../package.ts'

/** Browsers ask whether a file has changed, and get 304 while it has not: a new version is shown at the next load. */
const options = { index: false, redirect: false, cacheControl: false, setHeaders: setCacheControl } as const

export function pageFiles(): RequestHandler {
  const router = Router()
  router.use(compression(), express.static(packagePath('web'), options))
  router.use('/uplot', express.static(dirname(fileURLToPath(import.meta.resolve('uplot'))), options))
  return router
}

function setCacheControl(response: { setHeader: (name: string, value: string) => void }): void {
  response.setHeader('Cache-Control', 'no-cache')
}
