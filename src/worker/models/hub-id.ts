// Id of a model on the Hub: `owner/name` or `owner/name@revision`.

export interface HubId {
  owner: string
  name: string
  /** A branch, a tag or a commit. */
  revision: string
  /** Name under which the model is served: `name` in lower case. */
  model: string
}

/** The Hub's rule for owner and name (`validate_repo_id` of huggingface_hub). */
const PART = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/
const REVISION = /^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$/

/** Undefined for other texts, such as a folder's name, which has no slash, or a path. */
export function parseHubId(text: string): HubId | undefined {
  const [id = '', revision = 'main', ...rest] = text.split('@')
  const [owner = '', name = '', ...more] = id.split('/')
  if (rest.length > 0 || more.length > 0 || !PART.test(owner) || !PART.test(name)) return undefined
  return REVISION.test(revision) ? { owner, name, revision, model: name.toLowerCase() } : undefined
}

/** Whether a revision is a commit, which never changes, and not a branch or tag. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}
