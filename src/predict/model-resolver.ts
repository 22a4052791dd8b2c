// Resolves the model of a request.
import { invalid, notFound, unavailable } from '../errors.ts'
import { type FleetView, type ServedModel, isLive } from '../fleet/fleet.ts'

export interface ResolvedModel {
  model: ServedModel
  /** The pinned revision. */
  revision?: string
}

/** The models that can be meant. */
export interface ModelsContext {
  config: { defaultModel: string }
  fleet: FleetView
}

/** A name, perhaps with an owner before it, which is for the caller's own order, and a revision behind it. */
const REFERENCE = /^(?:[A-Za-z0-9_][\w.-]*\/)?([A-Za-z0-9][\w.-]*)(?:@([^@]*))?$/

/** Names are served in lower case, whatever the case of a Hub id. Undefined: no model can be named like this. */
export function parseReference(wanted: string): { name: string; revision: string | undefined } | undefined {
  const [, name, revision] = REFERENCE.exec(wanted) ?? []
  return name === undefined ? undefined : { name: name.toLowerCase(), revision }
}

/**
 * The model that `name`, `owner/name`, `name@revision` or nothing means. Names are looked up, never joined to paths.
 * @param mayBeMeant which revisions; those that a live worker has when left out.
 * @throws AppError 404 when it is not known, or not that revision; 503 when Redis was never reached.
 */
export async function resolveModel(
  context: ModelsContext,
  wanted: string | undefined,
  mayBeMeant: (model: ServedModel, revision: string) => boolean | Promise<boolean> = isLive,
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
  if (!(await mayBeMeant(model, revision))) throw notFound('no worker serves this revision of the model')
  return { model, revision }
}

/** The model whose live revision this is; Replicate's clients name a version alone. */
export function findByRevision(context: ModelsContext, revision: string): ResolvedModel | undefined {
  const model = context.fleet.models().find((each) => isLive(each, revision))
  return model && { model, revision }
}

/** Why a live worker does not serve what it should; undefined when none refuses it. */
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
