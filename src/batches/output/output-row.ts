// A row as it stands in an output or error file: a line of JSON in the form of OpenAI's Batch API.
import { AppError, codeOf } from '../../errors.ts'

/** A finished row. */
export interface OutputRow {
  failed: boolean
  /** One line of JSON, with its newline. */
  line: string
}

/** Names the rows of one batch: the same row has the same ids whoever writes it. */
export class RowWriter {
  readonly #tag: string

  /** @param uuid of the batch. */
  constructor(uuid: string) {
    this.#tag = uuid.slice(-12)
  }

  /** @param row counts from 0. */
  answered(row: number, customId: string, body: unknown): OutputRow {
    return { failed: false, line: this.#line(row, customId, this.#response(row, 200, body), 'null') }
  }

  /** The request was refused, or its texts could not be classified. */
  refused(row: number, customId: string, error: AppError): OutputRow {
    const { message, status, type, members } = error
    const body = {
      error: {
        message,
        type: status < 500 ? 'invalid_request_error' : 'server_error',
        param: null,
        code: codeOf(type),
      },
      ...members,
    }
    const response = this.#response(row, status, body)
    return { failed: true, line: this.#line(row, customId, response, errorOf(codeOf(type), message)) }
  }

  /** The request was never answered. */
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
