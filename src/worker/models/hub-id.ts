// How a model of the Hub is named: `owner/name`, or `owner/name@revision`.

export interface HubId {
  owner: string
  name: string
  /** A branch, a tag or a commit. */
  revision: string
  /** The name under which it is served: the id's last part in lower case. */
  model: string
}

/** The Hub's own rule for both parts (`validate_repo_id` of huggingface_hub). */
const PART = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/
const REVISION = /^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$/

/** Undefined when it is none: a folder's name has no slash, and a path is no name. */
export function parseHubId(text: string): HubId | undefined {
  const [id = '', revision = 'main', ...rest] = text.split('@')
  const [owner = '', name = '', ...more] = id.split('/')
  if (rest.length > 0 || more.length > 0 || !PART.test(owner) || !PART.test(name)) return undefined
  return REVISION.test(revision) ? { owner, name, revision, model: name.toLowerCase() } : undefined
}

/** Revisions that name one state of a repository for ever. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}
