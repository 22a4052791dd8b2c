// The edge: whatever was thrown becomes a problem document.
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { notFound } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { openAiError } from './openai-format.ts'
import { ClientDisconnectedError } from './deadline.ts'
import { asAppError, problemOf } from './problem.ts'
import { requestState } from './request-log.ts'

/** Some clients repeat a 503 without a pause: on a predict route none is sent before this age of the request, milliseconds. */
const MIN_503_AGE_MS = 1_000

export const notFoundHandler: RequestHandler = () => {
  throw notFound('there is nothing at this path; /docs lists what there is')
}

export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (thrown, request, response, next) => {
    const error = asAppError(thrown)
    const { id, startedAt, isPredict, errors } = requestState(response)
    if (error.status === 500) logger.error({ err: thrown, request_id: id }, 'internal error')
    if (response.headersSent) return next(thrown)
    if (error instanceof ClientDisconnectedError) return void response.destroy()
    const send = () => {
      if (response.destroyed) return
      const likeOpenAi = errors === 'openai'
      const document = likeOpenAi ? openAiError(error) : problemOf(error, request.path, id)
      response.status(error.status).set(error.headers)
      response.type(likeOpenAi ? 'application/json' : 'application/problem+json')
      response.send(request.method === 'HEAD' ? '' : JSON.stringify(document))
    }
    if (error.status !== 503 || !isPredict) return send()
    const age = performance.now() - startedAt
    const timer = setTimeout(send, MIN_503_AGE_MS - age)
    response.on('close', () => clearTimeout(timer))
  }
}
