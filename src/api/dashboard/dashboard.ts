// The dashboard: bull-board with access control.
// bull-board has no login and no protection, so this file adds a login, an allow-list of write operations, and hides
// users' texts unless ADMIN_SHOW_TEXTS is on.
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import compression from 'compression'
import { type RequestHandler, Router } from 'express'
import { AppError } from '../../errors.ts'
import type { FleetView, ServedModel } from '../../fleet/fleet.ts'
import { scoreRow } from '../../predict/answers.ts'
import { parseTextsResult, type TextsResult } from '../../queue/job.ts'

import { parseJobId } from '../../queue/job-ids.ts'
import { BATCHES_QUEUE, LANES, type Lane, queueName, WEBHOOKS_QUEUE } from '../../queue/names.ts'

import type { Producer } from '../../queue/producer.ts'
import { batchId } from '../http/openai-format.ts'
import { type AdminLogin, requireAdmin } from './login.ts'

export const DASHBOARD_PATH = '/admin/queues'

type ExternalJobUrl = { displayText?: string; href: string }

const MAX_ROWS_SHOWN = 20
/** Write operations with ADMIN_WRITE: retry, promote, pause and resume. None of them adds or removes jobs. */
const ALLOWED_WRITES = /^\/api\/queues\/[^/]+\/(?:(?:[^/]+\/)?(?:retry|promote)(?:\/[a-z]+)?|pause|resume)$/

export interface DashboardOptions {
  config: {
    /** Whether the dashboard may retry, promote and pause. */
    adminWrite: boolean
    /** Whether the dashboard shows users' texts. */
    adminShowTexts: boolean
  }
  admin: AdminLogin
  /** The path of the api at its proxy; empty without one. */
  basePath: string
  fleet: FleetView
  producer: Producer
}

/** Creates the router of DASHBOARD_PATH; it adds the queues of a model when the fleet view has the model. */
export function createDashboard(options: DashboardOptions): Router {
  const serverAdapter = new ExpressAdapter()
  serverAdapter.setBasePath(`${options.basePath}${DASHBOARD_PATH}`)
  const board = createBullBoard({ queues: [], serverAdapter, options: { uiConfig: { boardTitle: 'inferq' } } })
  board.addQueue(batchesAdapter(options))
  // Its jobs have ids only.
  board.addQueue(new BullMQAdapter(options.producer.queue(WEBHOOKS_QUEUE), { readOnlyMode: true }))
  const addedQueues = new Set<string>()
  const addQueues: RequestHandler = (_request, _response, next) => {
    for (const model of options.fleet.models()) {
      for (const lane of LANES) {
        const name = queueName(model.name, lane)
        if (addedQueues.has(name)) continue
        addedQueues.add(name)
        board.addQueue(createAdapter(options, model, lane))
      }
    }
    next()
  }
  const router = Router()
  // Compression runs in the threads that file I/O needs, so it follows the login. Pages without a login are not compressed.
  router.use(requireAdmin(options.admin), compression())
  router.use(rejectWrites(options.config.adminWrite), withoutFonts, addQueues, serverAdapter.getRouter())
  return router
}

function createAdapter(options: DashboardOptions, model: ServedModel, lane: Lane): BullMQAdapter {
  const { adminWrite, adminShowTexts } = options.config
  const adapter = new BullMQAdapter(options.producer.queue(queueName(model.name, lane)), {
    readOnlyMode: !adminWrite,
    allowRetries: adminWrite,
    ...(lane === 'bulk' ? { externalJobUrl: ({ id }) => linkOfChunk(options, String(id)) } : {}),
  })
  adapter.setFormatter('data', (data: unknown) => (adminShowTexts ? data : withoutTexts(data)))
  adapter.setFormatter('returnValue', (value: unknown) => withLabels(options, model.name, value))
  adapter.setFormatter('progress', () => '')
  return adapter
}

/** The queue of batches, one job each, without write operations: an api that runs a batch holds its job. */
function batchesAdapter(options: DashboardOptions): BullMQAdapter {
  return new BullMQAdapter(options.producer.queue(BATCHES_QUEUE), {
    readOnlyMode: true,
    externalJobUrl: ({ id }) => linkOfBatch(options, String(id)),
  })
}

function linkOfChunk(options: DashboardOptions, jobId: string): ExternalJobUrl {
  const parsed = parseJobId(jobId)
  return parsed.kind === 'chunk' ? linkOfBatch(options, parsed.batch) : { href: '' }
}

/** @param record OWNER_UUID. */
function linkOfBatch({ basePath }: DashboardOptions, record: string): ExternalJobUrl {
  const id = batchId(record.slice(record.indexOf('_') + 1))
  return { displayText: id, href: `${basePath}/v1/batches/${id}` }
}

/** Removes the page's link to fonts of another site, which the content security policy forbids. */
const withoutFonts: RequestHandler = (_request, response, next) => {
  const send = response.send.bind(response)
  response.send = (body) =>
    send(
      typeof body === 'string' && body.startsWith('<') ? body.replace(/<link[^>]*fonts\.googleapis[^>]*>/g, '') : body,
    )
  next()
}

/** The data of a job with its texts replaced by their number and length in UTF-16 characters. */
export function withoutTexts(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || !('items' in data) || !Array.isArray(data.items)) return 'hidden'
  const lengthOf = (item: { text?: unknown }) => (typeof item.text === 'string' ? item.text.length : 0)
  const characters = data.items.map(lengthOf).reduce((sum, length) => sum + length, 0)
  return { ...data, items: `${data.items.length} hidden, ${characters} characters` }
}

/** A result with labels and scores instead of logits: the first rows only, and no text. */
function withLabels(options: DashboardOptions, model: string, value: unknown): unknown {
  const parsed = value === null || value === undefined ? undefined : readResult(value)
  if (!parsed) return value === null || value === undefined ? value : 'hidden'
  const { rows, ...summary } = parsed
  const record = options.fleet
    .models()
    .find(({ name }) => name === model)
    ?.records.get(parsed.revision)
  const shown = record ? rows.slice(0, MAX_ROWS_SHOWN).map((row) => scoreRow(row, record, {})) : []
  return { ...summary, rows: rows.length, shown }
}

function readResult(value: unknown): TextsResult | undefined {
  try {
    return parseTextsResult(value)
  } catch {
    return undefined
  }
}

function rejectWrites(mayWrite: boolean): RequestHandler {
  return (request, _response, next) => {
    if (request.method === 'GET' || request.method === 'HEAD') return next()
    if (mayWrite && request.method === 'PUT' && ALLOWED_WRITES.test(request.path)) return next()
    throw new AppError(
      'Unauthorized',
      403,
      mayWrite ? 'the dashboard does not allow this operation' : 'the dashboard is read-only: ADMIN_WRITE is off',
    )
  }
}
