import { describe, expect, it } from 'vitest'
import { topologyOf } from '../../../src/redis/url.ts'

describe('topologyOf', () => {
  it('leaves the URL of one server to the client library', () => {
    expect(topologyOf('redis://:secret@h:1/3')).toEqual({ kind: 'server' })
  })

  it('parses sentinels, the name of their master, and both credentials', () => {
    expect(topologyOf('redis+sentinel://h1,[::1]:5000,10.0.0.3:5001/mymaster')).toEqual({
      kind: 'sentinel',
      nodes: [
        { host: 'h1', port: 26_379 },
        { host: '::1', port: 5_000 },
        { host: '10.0.0.3', port: 5_001 },
      ],
      master: 'mymaster',
      db: 0,
    })
    const url = 'rediss+sentinel://me:p%40%2Fss@h/my-master.1/3?sentinel_user=s&sentinel_password=a%26b+c'
    expect(topologyOf(url)).toMatchObject({
      username: 'me',
      password: 'p@/ss',
      master: 'my-master.1',
      db: 3,
      sentinelUsername: 's',
      sentinelPassword: 'a&b+c',
    })
  })

  it('parses nodes of a cluster', () => {
    const nodes = [
      { host: 'a', port: 7_000 },
      { host: 'b', port: 6_379 },
    ]
    expect(topologyOf('redis+cluster://a:7000,b')).toEqual({ kind: 'cluster', nodes })
    expect(topologyOf('REDISS+CLUSTER://:p@a:7000,b/0')).toEqual({ kind: 'cluster', nodes, password: 'p' })
  })

  it.each([
    'redis+sentinel://h',
    'redis+sentinel://h/',
    'redis+sentinel:///mymaster',
    'redis+sentinel://h:0/m',
    'redis+sentinel://h:99999/m',
    'redis+sentinel://h,/m',
    'redis+sentinel://h/m/x',
    'redis+sentinel://h/m?password=x',
    'redis+sentinel://p@h/m',
    'redis+sentinel://:p%@h/m',
    'redis+sentinel://:p/w@h/m',
    'redis+sentinel://:p@w@h/m',
    'redis+cluster://h/1',
    'redis+cluster://h?x=1',
    'redis+cluster://',
    'redis+other://h',
    'redis+cluster://h#x',
  ])('refuses %s', (url) => {
    expect(topologyOf(url)).toBeUndefined()
  })
})
