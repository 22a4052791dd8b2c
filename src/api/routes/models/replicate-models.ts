// Look-ups of models and their versions, after Replicate's API. The owner before a name is ignored.
import * as z from 'zod'
import { notFound } from '../../../errors.ts'
import type { ServedModel } from '../../../fleet/fleet.ts'
import { resolveModel } from '../../../predict/model-resolver.ts'
import type { ModelRecord } from '../../../records/models.ts'
import type { Context } from '../../context.ts'
import type { Route } from '../../http/route.ts'
import { route } from '../route.ts'

/** The first version of Cog with today's schemas; the clients compare it, and look at nothing else of Cog. */
const COG_VERSION = '0.16.0'

const version = z
  .object({
    id: z.string().describe('The revision'),
    created_at: z.string().meta({ format: 'date-time' }),
    cog_version: z.string(),
    openapi_schema: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'ReplicateVersion' })

export const replicateModel = z
  .object({
    url: z.string(),
    owner: z.string(),
    name: z.string(),
    description: z.string(),
    visibility: z.literal('public'),
    github_url: z.null(),
    paper_url: z.null(),
    license_url: z.null(),
    run_count: z.literal(0).describe('Not counted'),
    cover_image_url: z.null(),
    default_example: z.null(),
    latest_version: version,
  })
  .meta({ id: 'ReplicateModel' })

const versionList = z
  .object({ previous: z.null(), next: z.null(), results: z.array(version) })
  .meta({ id: 'ReplicateVersionList' })
const modelParams = z.object({ owner: z.string(), name: z.string() })
const EXAMPLE = { owner: 'any', name: 'cola' }
const errorStatuses = [404, 503]

export const replicateModelRoutes: Route<Context>[] = [
  route({
    method: 'get',
    path: '/v1/models/:owner/:name',
    operationId: 'getReplicateModel',
    tag: 'Models',
    summary: "Get a model in Replicate's format; the owner is ignored",
    params: modelParams,
    example: { params: EXAMPLE },
    responses: { 200: { description: 'The model', schema: replicateModel } },
    errorStatuses,
    handler: async (context, { params, baseUrl }) => {
      const { model } = await resolveModel(context, params.name)
      return { status: 200, body: toReplicateModel(params.owner, model, baseUrl) }
    },
  }),
  route({
    method: 'get',
    path: '/v1/models/:owner/:name/versions',
    operationId: 'listModelVersions',
    tag: 'Models',
    summary: "List the known revisions of a model, in Replicate's format",
    params: modelParams,
    example: { params: EXAMPLE },
    responses: { 200: { description: 'The versions, the current one first', schema: versionList } },
    errorStatuses,
    handler: async (context, { params }) => {
      const { model } = await resolveModel(context, params.name)
      const others = [...model.records.values()].filter(({ revision }) => revision !== model.current.revision)
      return { status: 200, body: { previous: null, next: null, results: [model.current, ...others].map(toVersion) } }
    },
  }),
  route({
    method: 'get',
    path: '/v1/models/:owner/:name/versions/:version',
    operationId: 'getModelVersion',
    tag: 'Models',
    summary: "Get a revision of a model, in Replicate's format",
    params: modelParams.extend({ version: z.string().describe('A revision, or latest') }),
    example: { params: { ...EXAMPLE, version: 'latest' } },
    responses: { 200: { description: 'The version', schema: version } },
    errorStatuses,
    handler: async (context, { params }) => {
      const { model } = await resolveModel(context, params.name)
      const record = params.version === 'latest' ? model.current : model.records.get(params.version)
      if (!record) throw notFound('no such version of this model')
      return { status: 200, body: toVersion(record) }
    },
  }),
]

export function toReplicateModel(
  owner: string,
  { name, current }: ServedModel,
  baseUrl: string,
): z.infer<typeof replicateModel> {
  return {
    url: `${baseUrl}/v1/models/${owner}/${name}`,
    owner,
    name,
    description: `Text classification: ${current.labels.slice(0, 10).join(', ')}`,
    visibility: 'public',
    github_url: null,
    paper_url: null,
    license_url: null,
    run_count: 0,
    cover_image_url: null,
    default_example: null,
    latest_version: toVersion(current),
  }
}

function toVersion({ revision, createdAt }: ModelRecord): z.infer<typeof version> {
  return {
    id: revision,
    created_at: new Date(createdAt ?? 0).toISOString(),
    cog_version: COG_VERSION,
    openapi_schema: { openapi: '3.0.2', info: { title: 'inferq', version: revision }, paths: {}, components: SCHEMAS },
  }
}

/** What Replicate's clients read of a version: whether the output is an iterator. It is a list that comes whole. */
const SCHEMAS = {
  schemas: {
    Input: {
      type: 'object',
      properties: { text: { type: 'string' }, inputs: { type: 'array', items: { type: 'string' } } },
    },
    Output: { type: 'array', items: { type: 'object' } },
  },
}
