// Findings that depend on the machine, or on a state that a test cannot bring about.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { findingsOf } from '../../../../src/cli/doctor/finding.ts'
import { checkPort } from '../../../../src/cli/doctor/local.ts'
import { checkDisk, checkMemory, checkNode, checkPackages } from '../../../../src/cli/doctor/machine.ts'
import { checkRedis, clockFinding } from '../../../../src/cli/doctor/redis.ts'

afterEach(() => vi.restoreAllMocks())

it('of a machine that runs inferq are good', async () => {
  expect(await checkNode()).toMatchObject([{ level: 'ok', message: expect.stringMatching(/^Node \d+\.\d+\.\d+ on /) }])
  expect(await checkPackages()).toMatchObject([{ level: 'ok', message: expect.stringContaining('are loaded') }])
})

it.each([
  ['20.18.1', 'linux', 'x64', 'is too old', 'install Node 20.19 or newer'],
  ['22.1.0', 'win32', 'x64', 'cannot run models', 'Docker'],
  ['22.1.0', 'linux', 'arm', 'cannot run models', 'Docker'],
])('of Node %s on %s %s are a problem', async (node, platform, arch, message, remedy) => {
  vi.spyOn(process, 'versions', 'get').mockReturnValue({ ...process.versions, node })
  vi.spyOn(process, 'platform', 'get').mockReturnValue(platform as NodeJS.Platform)
  vi.spyOn(process, 'arch', 'get').mockReturnValue(arch as NodeJS.Architecture)
  expect(await checkNode()).toEqual([
    { level: 'problem', message: expect.stringContaining(message), remedy: expect.stringContaining(remedy) },
  ])
})

it('of Linux without glibc are a problem', async () => {
  vi.spyOn(process, 'platform', 'get').mockReturnValue('linux')
  vi.spyOn(process.report, 'getReport').mockReturnValue({ header: {} })
  expect(await checkNode()).toMatchObject([{ level: 'problem', message: expect.stringContaining('without glibc') }])
})

it('of a small container are a warning', async () => {
  vi.spyOn(process, 'constrainedMemory').mockReturnValue(300e6)
  expect(await checkMemory()).toMatchObject([
    { level: 'warning', remedy: expect.stringContaining('INFERENCE_PROCESSES=1') },
  ])
})

it('of a disk name its free space, also before the directory exists', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-doctor-'))
  expect(await checkDisk(join(dir, 'data/files'), 1)).toMatchObject([
    { level: 'ok', message: expect.stringContaining('are free for') },
  ])
  rmSync(dir, { recursive: true })
  expect(await checkDisk(undefined, 1)).toMatchObject([{ level: 'ok' }])
})

it('of a directory that cannot be made are a problem', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-doctor-'))
  writeFileSync(join(dir, 'file'), '')
  expect(await checkDisk(join(dir, 'file/data/files'), 1)).toMatchObject([
    { level: 'problem', message: `${dir}/file is not a directory`, remedy: expect.stringContaining('DATA_DIR') },
  ])
  rmSync(dir, { recursive: true })
})

it.each([
  [4, []],
  [-4, []],
  [60, [{ level: 'warning', message: "the clock of Redis is 60 s fast, by this machine's" }]],
  [-60, [{ level: 'warning', message: "the clock of Redis is 60 s slow, by this machine's" }]],
])('of a clock that is %i s ahead', (offset, expected) => expect(clockFinding('Redis', offset)).toMatchObject(expected))

it('without REDIS_URL are about the program of a private Redis', async () => {
  expect(await checkRedis(undefined, false, { PATH: '/nowhere' })).toMatchObject([
    { level: 'warning', message: 'REDIS_URL is not set, and no Redis server is installed' },
  ])
})

it('of port 0 and of the port of the server are good', async () => {
  expect(await checkPort({ port: 0, host: '127.0.0.1', isServer: false })).toMatchObject([{ level: 'ok' }])
  expect(await checkPort({ port: 1, host: '127.0.0.1', isServer: true })).toMatchObject([{ level: 'ok' }])
})

it('of a check that fails are a problem', async () => {
  const broken = () => Promise.reject(new Error('no reply'))
  expect(await findingsOf('redis', broken)).toMatchObject([{ check: 'redis', level: 'problem', message: 'no reply' }])
})
