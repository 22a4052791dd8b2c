// Turns result rows into answers: scores with labels, and errors at their items' places.
import { AppError, listable } from '../errors.ts'
import type { FleetView } from '../fleet/fleet.ts'
import { isFailed, type Row } from '../queue/job.ts'
import type { ModelRecord } from '../records/models.ts'
import type { ScoreOptions } from './inputs.ts'
import { defaultFunction, type LabelScore, labelScores } from './scores.ts'
import type { Answer } from './sync-predictor.ts'

export interface ItemError {
  index: number
  message: string
}

/** The scores of an item, or its error. */
export type Scored = LabelScore[] | { error: string }

/** The record with the labels of a revision. @throws AppError 409 when it has expired. */
export async function modelRecordOf(fleet: FleetView, model: string, revision: string): Promise<ModelRecord> {
  const record = await fleet.findRevision(model, revision)
  if (!record) throw new AppError('Conflict', 409, 'the model revision that computed this is no longer known')
  return record
}

export function scoreRow(row: Row, model: ModelRecord, options: ScoreOptions): Scored {
  if (isFailed(row)) return { error: row.error.message }
  return labelScores(
    model.labels,
    row.logits,
    options.fn ?? model.function ?? defaultFunction(model.problemType),
    options.topK,
  )
}

/** Every item's scores. @throws AppError 422 or 424 with `errors: [{index, message}]` unless lenient. */
export async function scoreAnswers(
  fleet: FleetView,
  model: string,
  answers: Answer[],
  options: ScoreOptions,
  lenient: boolean,
): Promise<Scored[]> {
  const rows = answers.map(({ row }) => row)
  if (!lenient) throwIfRowsFailed(rows)
  const records = new Map<string, ModelRecord>()
  for (const { revision } of new Set(answers.map(({ result }) => result))) {
    if (!records.has(revision)) records.set(revision, await modelRecordOf(fleet, model, revision))
  }
  return answers.map(({ row, result }) => scoreRow(row, records.get(result.revision) as ModelRecord, options))
}

/** The failed rows of an answer, by index. */
export function errorsOf(rows: Row[]): ItemError[] {
  return rows.flatMap((row, index) => (isFailed(row) ? [{ index, message: row.error.message }] : []))
}

/** @throws AppError 422 or 424 with the first `errors: [{index, message}]` when a row failed. */
export function throwIfRowsFailed(rows: Row[]): void {
  const errors = errorsOf(rows)
  if (errors.length === 0) return
  const onlyInvalid = rows.every((row) => !isFailed(row) || row.error.code === 'Validation')
  const detail = `${errors.length} of ${rows.length} inputs could not be classified: ${errors[0]?.message ?? ''}`
  throw new AppError(onlyInvalid ? 'Validation' : 'Backend', onlyInvalid ? 422 : 424, detail, {
    members: { errors: listable(errors) },
  })
}
