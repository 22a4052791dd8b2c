// One row of a validated input file.
import { AppError } from '../../errors.ts'
import type { JsonLimits } from '../../validation/json-limits.ts'
import type { BlockRow } from '../blocks.ts'
import type { Endpoints } from '../endpoints.ts'
import { isProblem, readRequest } from './input-line.ts'
import type { InputLine } from './jsonl.ts'

/** @param endpoint of the batch. @throws Error when the line is no request any more. */
export function readRow(line: InputLine, endpoint: string, endpoints: Endpoints, limits: JsonLimits): BlockRow {
  const read = readRequest(line, endpoint, limits)
  if (isProblem(read)) throw new Error(`line ${line.number} of the input file has changed since its validation`)
  const { customId, body } = read
  const refused = (request: AppError): BlockRow => ({ customId, request, tokens: [], work: 0 })
  if (body instanceof AppError) return refused(body)
  try {
    const request = endpoints.read(endpoint, body)
    return { customId, request, ...endpoints.estimate(request) }
  } catch (error) {
    if (error instanceof AppError) return refused(error)
    throw error
  }
}
