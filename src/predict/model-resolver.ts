// Resolves the model of a request.
import { invalid, notFound, unavailable } from '../errors.ts'
import { type FleetView, isLive, type ServedModel } from '../fleet/fleet.ts'

export interface ResolvedModel {
  model: ServedModel
  /** The pinned revision. */
  revision?: string
}

/** The models to resolve, and the default. */
export interface ModelsContext {
  config: { defaultModel: string }
  fleet: FleetView
}

/**
 * A name with an optional owner before it, which is ignored, and an optional revision after it: `@`, or `:` as Replicate
 * writes it.
 */
const REFERENCE = /^(?:[A-Za-z0-9_][\w.-]*\/)?([A-Za-z0-9][\w.-]*)(?:[@:]([^@:]*))?$/

/** Parses a model reference; names are lower case, also for a Hub id. Undefined: not a valid model name. */
export function parseReference(wanted: string): { name: string; revision: string | undefined } | undefined {
  const [, name, revision] = REFERENCE.exec(wanted) ?? []
  return name === undefined ? undefined : { name: name.toLowerCase(), revision }
}

/**
 * Resolves `name`, `owner/name`, `name@revision`, `name:revision` or the default. Names are looked up, never joined to paths.
 * @param isEligible which revisions may be requested; default: those of a live worker.
 * @throws AppError 404 for an unknown model or revision; 503 when Redis was never reached.
 */
export async function resolveModel(
  context: ModelsContext,
  wanted: string | undefined,
  isEligible: (model: ServedModel, revision: string) => boolean | Promise<boolean> = isLive,
): Promise<ResolvedModel> {
  const reference = parseReference(wanted ?? context.config.defaultModel)
  const model = reference && (await context.fleet.find(reference.name))
  if (!model) {
    const only = wanted === undefined ? onlyModel(context) : undefined
    if (only) return { model: only }
    throw modelNotFound(context, wanted)
  }
  const { revision } = reference
  if (revision === undefined) return { model }
  if (!(await isEligible(model, revision))) throw notFound('no worker serves this revision of the model')
  return { model, revision }
}

/** The model of a live revision; Replicate's clients send a version without a model. */
export function findByRevision(context: ModelsContext, revision: string): ResolvedModel | undefined {
  const model = context.fleet.models().find((each) => isLive(each, revision))
  return model && { model, revision }
}

/** The reason why a live worker refuses the model; undefined when none does. */
export function rejectionReason({ fleet }: ModelsContext, name: string): string | undefined {
  return fleet.workers.flatMap(({ refused }) => refused).find((each) => each.name === name)?.reason
}

function onlyModel(context: ModelsContext): ServedModel | undefined {
  const live = context.fleet.models().filter(({ workers }) => workers.length > 0)
  return live.length === 1 ? live[0] : undefined
}

function modelNotFound(context: ModelsContext, wanted: string | undefined): Error {
  const name = wanted ?? context.config.defaultModel
  const reference = parseReference(name)
  const refused = reference && rejectionReason(context, reference.name)
  if (refused) return unavailable(`the workers refuse the model "${reference.name}": ${refused}`)
  const names = context.fleet.models().map(({ name }) => name)
  if (wanted === undefined && names.length > 0) {
    return invalid([{ path: 'model', message: `is needed: one of ${names.join(', ')}` }])
  }
  if (names.length === 0) return unavailable('no worker has started yet, so no model is served')
  return notFound(`no such model; served are ${names.join(', ')}`)
}
