// The Express application: middleware and routes in order.
import compression from 'compression'
import express, { type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import swaggerUi from 'swagger-ui-express'
import type { Context } from './context.ts'
import { createDashboard, DASHBOARD_PATH } from './dashboard/dashboard.ts'
import { errorHandler, notFoundHandler } from './http/error-handler.ts'
import { openApiDocument } from './http/openapi.ts'
import { assignRequestId, logRequests, rejectMalformedRequest, requestState } from './http/request-log.ts'
import { mountRoutes } from './http/router.ts'
import { createRoutes } from './routes/table.ts'

export function createApp(context: Context): Express {
  const app = express()
  const routes = createRoutes(context.config)
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  app.set('trust proxy', context.config.trustProxy)
  app.use(assignRequestId, logRequests(context.logger, context.metrics), rejectMalformedRequest)
  app.use(securityHeaders())
  mountRoutes(app, context, routes)
  // Only what browsers load is compressed: predict responses are small and frequent.
  app.use(compression())
  app.get(
    '/openapi.json',
    setRouteName('/openapi.json'),
    sendDocument(() => openApiDocument(routes, context.config.apiKeys.length > 0)),
  )
  app.use('/docs', setRouteName('/docs'), swaggerUi.serve, swaggerUi.setup(undefined, docsOptions))
  app.use(DASHBOARD_PATH, setRouteName(DASHBOARD_PATH), createDashboard(context))
  app.get('/favicon.ico', setRouteName('/favicon.ico'), (_request, response) => void response.status(204).end())
  app.use(notFoundHandler)
  app.use(errorHandler(context.logger))
  return app
}

const docsOptions: swaggerUi.SwaggerUiOptions = {
  customSiteTitle: 'inferq',
  swaggerOptions: { url: '/openapi.json', tryItOutEnabled: true, validatorUrl: null },
}

/** The dashboard's page links a font service; the policy keeps browsers from contacting it. */
const sameOriginOnly = { styleSrc: ["'self'", "'unsafe-inline'"], fontSrc: ["'self'", 'data:'] }

/** Web pages get helmet's full set; an API response only needs `nosniff`, against content-type guessing. */
function securityHeaders(): RequestHandler {
  // Pages are served over plain HTTP inside a network, so browsers must not be redirected to HTTPS.
  const pageHeaders = helmet({
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null, ...sameOriginOnly } },
    strictTransportSecurity: false,
  })
  return (request, response, next) => {
    if (request.path === '/' || /^\/(?:docs|admin)(?:\/|$)/.test(request.path))
      return pageHeaders(request, response, next)
    response.setHeader('X-Content-Type-Options', 'nosniff')
    next()
  }
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
