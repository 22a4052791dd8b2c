// Checks the input file of a batch before its first row runs.
import { AppError } from '../../errors.ts'
import type { BatchRecord } from '../../records/batches.ts'
import type { EventLoopTurns } from '../event-loop-turns.ts'
import type { ExpectedEnd } from './expected-end.ts'
import { type InputLimits, type Validation, validate } from './validate.ts'

export interface CheckInputOptions {
  limits: InputLimits
  turns: EventLoopTurns
  expectedEnd: (owner: string, endpoint: string) => ExpectedEnd
}

/** @param content undefined: the file no longer exists. @throws the errors of reading the content. */
export async function checkInput(
  { limits, turns, expectedEnd }: CheckInputOptions,
  owner: string,
  { endpoint, complete_by: completeBy }: BatchRecord,
  content: AsyncIterable<Buffer> | undefined,
): Promise<Validation> {
  if (!content) return failed('file_not_found', 'The input file no longer exists.', 'input_file_id')
  if (completeBy === undefined) return validate(content, endpoint, limits, turns)
  const end = expectedEnd(owner, endpoint)
  const validation = await validate(content, endpoint, limits, turns, (body) => end.add(body))
  if (validation.problems.length > 0) return validation
  try {
    end.requireBy(completeBy)
    return validation
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const earliest = String(error.members['earliest_completion'])
    return failed('deadline_unreachable', `${error.message}. The earliest end is about ${earliest}.`, 'complete_by')
  }
}

function failed(code: string, message: string, param: string): Validation {
  return { requests: 0, problems: [{ code, message, param, line: null }] }
}
