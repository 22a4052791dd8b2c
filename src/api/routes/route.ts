// The factory of routes with the api's context.
import type { Context } from '../context.ts'
import { routesWith } from '../http/route.ts'

export const route = routesWith<Context>()
