// Commands on keys that may be on several nodes of a cluster.
import { Cluster, type Redis } from 'ioredis'
import { isClustered, recordKey } from './keys.ts'

/** A command's name and arguments. */
export type RedisCommand = [name: string, ...args: (string | number)[]]

/**
 * The replies of commands in one round trip: a pipeline, or in a cluster, whose pipelines have keys of one node, single
 * commands at the same time. @throws the first error.
 */
export async function sendAll(redis: Redis, commands: RedisCommand[]): Promise<unknown[]> {
  if (isClustered) return Promise.all(commands.map(([name, ...args]) => redis.call(name, ...args)))
  return ((await redis.pipeline(commands).exec()) ?? []).map(([error, reply]) => {
    if (error) throw error
    return reply
  })
}

/** Connections to all masters of a cluster; otherwise the connection itself. */
export function mastersOf(redis: Redis): Redis[] {
  const connection: unknown = redis
  return connection instanceof Cluster ? connection.nodes('master') : [redis]
}

/** Connections to all nodes of a cluster, replicas too; otherwise the connection itself. */
export function nodesOf(redis: Redis): Redis[] {
  const connection: unknown = redis
  return connection instanceof Cluster ? connection.nodes('all') : [redis]
}

/** Seconds and microseconds of Redis' clock: in a cluster, whose nodes have their own ones, of the node of shared keys. */
export async function timeOf(redis: Redis): Promise<(string | number)[]> {
  if (!isClustered) return redis.time()
  return (await redis.eval("return redis.call('TIME')", 1, recordKey('clock'))) as string[]
}
