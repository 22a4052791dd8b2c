// Values as they are stored: JSON that another process, perhaps of another version, has written, and fields of hashes.
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

/** The defined fields of a record as alternating names and values. */
export function hashFields(fields: Record<string, string | number | undefined>): (string | number)[] {
  return Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, value]))
}
