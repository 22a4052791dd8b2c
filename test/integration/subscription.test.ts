// A subscription detects a silently dead connection, and reconnects.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, it } from 'vitest'
import { closeConnection, producerConnection, subscriberConnection } from '../../src/redis/connection.ts'
import { Subscription } from '../../src/redis/subscription.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redis: Awaited<ReturnType<typeof ownRedis>>
beforeAll(async () => {
  redis = await ownRedis()
})
afterAll(() => redis.stop())

const ignore = () => undefined

it('receives messages again after its connection has died silently', async () => {
  // A proxy that can drop all data without closing sockets, like a network that has lost its state.
  const pairs: Socket[][] = []
  const between = createServer((near) => {
    const far = connect(Number(new URL(redis.url).port), '127.0.0.1')
    pairs.push([near, far])
    for (const socket of [near, far]) socket.on('error', ignore)
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => void between.listen(0, '127.0.0.1', resolve))
  const { port } = between.address() as AddressInfo
  const heard: string[] = []
  const subscriber = subscriberConnection({ redisUrl: `redis://127.0.0.1:${port}` }, ignore)
  const subscription = new Subscription(subscriber, 'inferq:test', (message) => heard.push(message))
  const publisher = producerConnection({ redisUrl: redis.url }, ignore)
  subscription.start()
  await waitFor('a listener', async () => (await publisher.publish('inferq:test', 'one')) === 1)
  await waitFor('the message', () => heard.includes('one'))

  for (const [near, far] of pairs) {
    near?.unpipe().resume()
    far?.unpipe().resume()
  }
  const again = async () => {
    await publisher.publish('inferq:test', 'two')
    return heard.includes('two')
  }
  await waitFor('the message after it', again, { within: 20_000, every: 100 })
  subscription.stop()
  closeConnection(publisher)
  for (const socket of pairs.flat()) socket.destroy()
  between.close()
})
