// Reads JSON that another process, perhaps of another version, has stored.
import type * as z from 'zod'

/** The value; undefined when there is none, or it does not fit the schema. */
export function parseStored<T>(schema: z.ZodType<T>, json: string | null): T | undefined {
  if (json === null) return undefined
  try {
    return schema.safeParse(JSON.parse(json)).data
  } catch {
    return undefined
  }
}
