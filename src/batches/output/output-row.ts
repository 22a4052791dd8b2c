// Formats rows of output and error files as lines of OpenAI's Batch API.
import { AppError, codeOf } from '../../errors.ts'

/** A finished row. */
export interface OutputRow {
  failed: boolean
  /** One line of JSON, with its newline. */
  line: string
}

/** Problems of one row; an error file has a row for each of thousands of equal faults. */
const MAX_PROBLEMS = 10
const MAX_MESSAGE = 1_000

/** Writes the rows of one batch. Their ids follow from batch and row, so another api writes the same ones. */
export class RowWriter {
  readonly #tag: string

  /** @param uuid of the batch. */
  constructor(uuid: string) {
    this.#tag = uuid.slice(-12)
  }

  /** @param row number in the batch, from 0. */
  answered(row: number, customId: string, body: unknown): OutputRow {
    return { failed: false, line: this.#line(row, customId, this.#response(row, 200, body), 'null') }
  }

  /** A request that is invalid or whose texts could not be classified. */
  refused(row: number, customId: string, error: AppError): OutputRow {
    const { status, type, members } = error
    const body = {
      error: {
        message: cut(error.message),
        type: status < 500 ? 'invalid_request_error' : 'server_error',
        param: null,
        code: codeOf(type),
      },
      ...members,
      ...(Array.isArray(members['errors']) ? { errors: members['errors'].slice(0, MAX_PROBLEMS) } : {}),
    }
    const response = this.#response(row, status, body)
    // As in OpenAI's files: `error` is for requests without a response.
    return { failed: true, line: this.#line(row, customId, response, 'null') }
  }

  /** A request that the batch's end left without an answer. */
  unanswered(row: number, customId: string, code: string, message: string): OutputRow {
    return { failed: true, line: this.#line(row, customId, 'null', errorOf(code, message)) }
  }

  #line(row: number, customId: string, response: string, error: string): string {
    const id = `"batch_req_${this.#tag}_${row}"`
    return `{"id":${id},"custom_id":${JSON.stringify(customId)},"response":${response},"error":${error}}\n`
  }

  #response(row: number, status: number, body: unknown): string {
    return `{"status_code":${status},"request_id":"req_${this.#tag}_${row}","body":${JSON.stringify(body)}}`
  }
}

function errorOf(code: string, message: string): string {
  return JSON.stringify({ code, message })
}

function cut(message: string): string {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message
}
