// Health and information of one model, where clients of Hugging Face ask for those of an endpoint.
import * as z from 'zod'
import { notFound, unavailable } from '../../../errors.ts'
import { resolveModel } from '../../../predict/model-resolver.ts'
import type { Context } from '../../context.ts'
import type { Route } from '../../http/route.ts'
import { describeServer } from '../operations.ts'
import { route } from '../route.ts'
import { infoObject } from './info-object.ts'

const healthy = z.object({ status: z.literal('ok') }).meta({ id: 'ModelHealth' })

export const modelEndpointRoutes: Route<Context>[] = [
  route({
    method: 'get',
    // The path of POST, where the first part is the owner of a model.
    path: '/models/:owner/:name',
    operationId: 'getModelEndpoint',
    tag: 'Operations',
    summary: 'Health or information of a model, as of an endpoint of Hugging Face',
    description: '`owner` is the name of the model, `name` is `health` or `info`.',
    params: z.object({ owner: z.string(), name: z.string() }),
    example: { params: { owner: 'cola', name: 'health' } },
    responses: {
      200: {
        description: 'The model is served, or /info with it as the model',
        schema: z.union([healthy, infoObject]),
      },
    },
    errorStatuses: [404, 503],
    handler: async (context, { params: { owner: wanted, name: part } }) => {
      if (part !== 'health' && part !== 'info')
        throw notFound('no such route; GET takes /models/NAME/health and /models/NAME/info')
      const { model } = await resolveModel(context, wanted)
      if (part === 'info') return describeServer(context, wanted)
      if (model.workers.length === 0) throw unavailable(`no live worker serves "${model.name}"`)
      return { status: 200, headers: { 'Cache-Control': 'no-store' }, body: { status: 'ok' } }
    },
  }),
]
