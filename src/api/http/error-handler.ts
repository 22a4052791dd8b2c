// Error middleware: turns thrown errors into problem documents.
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { notFound } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { ClientDisconnectedError } from './deadline.ts'
import { openAiError, openAiStatus } from './openai-format.ts'
import { asAppError, problemOf } from './problem.ts'
import { requestState } from './request-log.ts'

/** Minimum age of a predict request when its 503 is sent, milliseconds: some clients retry a 503 without back-off. */
const MIN_503_AGE_MS = 1_000

const MAX_LOGGED_CHARS = 500

const OPENAI_PREFIX = '/v1/'

/** @param paths of the route table: under /v1, where OpenAI's clients ask, the error names what there is. */
export function notFoundHandler(paths: string[]): RequestHandler {
  const resources = paths.flatMap((path) => /^\/v1\/\w+/.exec(path)?.[0] ?? [])
  const listed = [...new Set(resources)].join(', ')
  return (request, response) => {
    if (!request.path.startsWith(OPENAI_PREFIX)) throw notFound('no such route; see /docs')
    requestState(response).errors = 'openai'
    throw notFound(`no such route; under /v1 there are ${listed}: see /docs`)
  }
}

export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (thrown, request, response, next) => {
    const error = asAppError(thrown)
    const state = requestState(response)
    const { id, startedAt, isPredict, errors } = state
    state.detail = error.message.slice(0, MAX_LOGGED_CHARS)
    state.reason = error.reason
    if (error.status === 500) logger.error({ err: thrown, request_id: id }, 'internal error')
    if (response.headersSent) return next(thrown)
    if (error instanceof ClientDisconnectedError) return void response.destroy()
    const send = () => {
      if (response.destroyed) return
      const isOpenAi = errors === 'openai'
      const document = isOpenAi ? openAiError(error) : problemOf(error, request.path, id)
      response.status(isOpenAi ? openAiStatus(error) : error.status).set(error.headers)
      response.type(isOpenAi ? 'application/json' : 'application/problem+json')
      response.end(request.method === 'HEAD' ? '' : `${JSON.stringify(document)}\n`)
    }
    if (error.status !== 503 || !isPredict) return send()
    const age = performance.now() - startedAt
    const timer = setTimeout(send, MIN_503_AGE_MS - age)
    response.on('close', () => clearTimeout(timer))
  }
}
