// Roles of API keys: what a key may do with the records of its owner.
import { AppError } from '../../../errors.ts'

/** From the least to the most; each may do what those before it may. */
export const ROLES = ['read', 'submit', 'admin'] as const
export type Role = (typeof ROLES)[number]

interface RestrictedRoute {
  method: string
  /** Predicts, also with GET. */
  isPredict?: boolean
  role?: Role
}

/** The least role that may use the route: its own, or `read` for what changes and computes nothing, and else `submit`. */
export function requiredRole({ method, isPredict = false, role }: RestrictedRoute): Role {
  return role ?? (method === 'get' && !isPredict ? 'read' : 'submit')
}

/** @throws AppError 403 for a role that may not use the route. */
export function requireRole(role: Role, route: RestrictedRoute): void {
  const required = requiredRole(route)
  if (ROLES.indexOf(role) >= ROLES.indexOf(required)) return
  const sufficient = ROLES.slice(ROLES.indexOf(required)).join(' or ')
  throw new AppError(
    'Unauthorized',
    403,
    `this API key has the role ${role}; this route requires the role ${sufficient}`,
  )
}
