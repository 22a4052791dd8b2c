import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { DirectoryStore } from '../../../src/batches/storage/directory-store.ts'
import { DiskSpace } from '../../../src/batches/storage/disk-space.ts'
import { StorageFullError } from '../../../src/batches/storage/file-store.ts'

const GB = 1e9

async function problemOf(free: number, size: number): Promise<string | undefined> {
  const space = new DiskSpace('/', GB, async () => ({ free, size }))
  await space.sample()
  return space.problem
}

it('keeps the reserve free, but at most a tenth of the disk', async () => {
  expect(await problemOf(1.1 * GB, 100 * GB)).toBeUndefined()
  expect(await problemOf(0.9 * GB, 100 * GB)).toContain('has 900 MB left')
  expect(await problemOf(0.6 * GB, 5 * GB)).toBeUndefined()
  expect(await problemOf(0.4 * GB, 5 * GB)).toContain('DISK_RESERVE')
})

it('has no problem with a directory that does not exist yet', async () => {
  const space = new DiskSpace('/no/such/directory', GB)
  expect(await space.sample()).toBeUndefined()
  expect(space.problem).toBeUndefined()
})

it('ends a write that would use the reserve, and leaves nothing of it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-space-'))
  const free = [5 * GB, 5 * GB, 0.5 * GB]
  const store = new DirectoryStore(
    dir,
    new DiskSpace(dir, GB, async () => ({ free: free.shift() ?? 0, size: 100 * GB })),
  )
  const piece = Buffer.alloc(4 * 1_024 * 1_024)
  let pieces = 0
  async function* content() {
    for (; pieces < 10; pieces += 1) yield piece
  }
  await expect(store.put('files/a', content())).rejects.toBeInstanceOf(StorageFullError)
  expect(pieces).toBeLessThan(10)
  expect([await store.list('files'), await store.list('incoming')]).toEqual([[], []])
  rmSync(dir, { recursive: true, force: true })
})
