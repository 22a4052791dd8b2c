// The Express application: middleware and routes in order.
import express, { type Express, type RequestHandler } from 'express'
import swaggerUi from 'swagger-ui-express'
import type { Context } from './context.ts'
import { createDashboard, DASHBOARD_PATH } from './dashboard/dashboard.ts'
import { errorHandler, notFoundHandler } from './http/error-handler.ts'
import { accessGuards, rejectForeignPages, rejectUnknownHost } from './http/guards/access.ts'
import { allowOrigins } from './http/guards/cors.ts'
import { pageHeaders } from './http/guards/page-headers.ts'
import { basePathOf, stripBasePath } from './http/guards/public-url.ts'
import { openApiDocument } from './http/openapi.ts'
import { assignRequestId, logRequests, rejectMalformedRequest, requestState } from './http/request-log.ts'
import { mountRoutes } from './http/router.ts'
import { pageFiles } from './page-files.ts'
import { createRoutes, TAGS } from './routes/table.ts'

export function createApp(context: Context): Express {
  const app = express()
  const { config } = context
  const routes = createRoutes(config)
  const basePath = basePathOf(config.publicUrl)
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  app.set('trust proxy', config.trustProxy)
  const log = logRequests(context.logger, context.metrics, context.tracing?.tracer)
  const cors = config.corsOrigins.length > 0 ? [allowOrigins(config.corsOrigins)] : []
  app.use(inOrder([stripBasePath(basePath), assignRequestId, log, rejectMalformedRequest, ...cors]))
  mountRoutes(app, context, routes)
  // From here on are pages and what they load, in any letter case of their paths.
  app.use(pageHeaders, rejectUnknownHost(accessGuards(config, context.keys.isOpen)))
  app.get(
    '/openapi.json',
    setRouteName('/openapi.json'),
    sendDocument(() => openApiDocument(routes, { hasKeys: !context.keys.isOpen, basePath, tags: TAGS })),
  )
  app.use('/web', setRouteName('/web'), pageFiles())
  app.use('/docs', setRouteName('/docs'), swaggerUi.serve, swaggerUi.setup(undefined, docsOptions(basePath)))
  const dashboard = createDashboard({ ...context, producer: context.dashboardProducer, basePath })
  app.use(DASHBOARD_PATH, setRouteName(DASHBOARD_PATH), rejectForeignPages(config.publicUrl), dashboard)
  app.get('/favicon.ico', setRouteName('/favicon.ico'), (_request, response) => void response.status(204).end())
  app.use(notFoundHandler(routes.map(({ path }) => path)))
  app.use(errorHandler(context.logger))
  return app
}

/** One handler of several: Express takes several microseconds for each of its own. */
function inOrder(handlers: RequestHandler[]): RequestHandler {
  return (request, response, next) => {
    const handle = (index: number): void => {
      const handler = handlers[index]
      if (handler)
        handler(request, response, (error?: unknown) => (error === undefined ? handle(index + 1) : next(error)))
      else next()
    }
    handle(0)
  }
}

function docsOptions(basePath: string): swaggerUi.SwaggerUiOptions {
  const swaggerOptions = { url: `${basePath}/openapi.json`, tryItOutEnabled: true, validatorUrl: null }
  return { customSiteTitle: 'inferq', swaggerOptions }
}

/** Sets the route's name for metrics and logs. */
function setRouteName(route: string): RequestHandler {
  return (_request, response, next) => {
    requestState(response).route = route
    next()
  }
}

/** The document is generated at the first request: it would take a fifth of the start. */
function sendDocument(generate: () => object): RequestHandler {
  let body: string | undefined
  return (_request, response) => {
    body ??= JSON.stringify(generate())
    response.type('application/json').send(body)
  }
}
