// Redis behind sentinels: which settings are refused, and what a connection does during a failover.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import {
  closeConnection,
  consumerConnection,
  producerConnection,
  subscriberConnection,
} from '../../src/redis/connection.ts'
import { durabilityProblems } from '../../src/redis/info.ts'
import { Subscription } from '../../src/redis/subscription.ts'
import { checkRedis } from '../../src/redis/usable.ts'
import { type SentinelSetup, startSentinels } from '../helpers/redis-servers.ts'
import { waitFor } from '../helpers/wait-for.ts'

let setup: SentinelSetup
beforeAll(async () => {
  setup = await startSentinels()
})
afterAll(() => setup?.stop())

const ignore = () => undefined

test('sentinels with the right passwords and name are usable', async () => {
  expect(await checkRedis({ redisUrl: setup.url })).toEqual({ state: 'usable' })
})

test.each([
  ['another name', (url: string) => url.replace('/mymaster', '/MARKER-name'), /know no master of the name/],
  [
    'a wrong password of the sentinels',
    (url: string) => url.replace('sentinel-password', 'MARKER'),
    /sentinels at .* reject the login/,
  ],
  [
    'a wrong password of Redis',
    (url: string) => url.replace('redis-password', 'MARKER'),
    /Redis of .* rejects the login/,
  ],
])('%s is refused, and no secret is repeated', async (_what, change, reason) => {
  const check = await checkRedis({ redisUrl: change(setup.url) })
  expect(check).toMatchObject({ state: 'refused', reason: expect.stringMatching(reason) })
  expect(JSON.stringify(check)).not.toMatch(/MARKER(?!-name)|password@|redis-password|=sentinel-password/)
})

test('a Redis in place of sentinels is refused, and sentinels that do not answer are waited for', async () => {
  const { port } = setup.master
  const url = `redis+sentinel://127.0.0.1:${port}/mymaster?sentinel_password=redis-password`
  expect(await checkRedis({ redisUrl: url })).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('are no sentinels'),
  })
  const away = `redis+sentinel://127.0.0.1:${await freePort()}/mymaster`
  expect(await checkRedis({ redisUrl: away })).toMatchObject({
    state: 'away',
    reason: expect.stringMatching(/sentinels at .* do not/),
  })
})

test('connections go on at the new master after the old one was killed', async () => {
  const commands = producerConnection({ redisUrl: setup.url }, ignore)
  const blocking = consumerConnection({ redisUrl: setup.url }, ignore)
  const heard: string[] = []
  const subscription = new Subscription(subscriberConnection({ redisUrl: setup.url }, ignore), 'inferq:test', (text) =>
    heard.push(text),
  )
  try {
    subscription.start()
    await waitFor('the master', () => commands.status === 'ready')
    await waitFor('a subscriber', async () => (await commands.publish('inferq:test', 'before')) === 1)
    const taken = blocking.blpop('inferq:list', 0)
    setup.master.child.kill('SIGKILL')
    await waitFor('the new master', () => commands.set('inferq:key', 'value'))
    expect(commands.options.sentinels).toBeDefined()
    await waitFor('a subscriber at the new master', async () => (await commands.publish('inferq:test', 'after')) === 1)
    await waitFor('the message', () => heard.includes('after'))
    await commands.rpush('inferq:list', 'job')
    expect(await taken).toEqual(['inferq:list', 'job'])
    expect(await setup.replica.ask((redis) => redis.role())).toEqual(expect.arrayContaining(['master']))
    expect(await durabilityProblems(commands)).toEqual([])
  } finally {
    subscription.stop()
    closeConnection(commands)
    closeConnection(blocking)
  }
})
