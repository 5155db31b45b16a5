// Requests to the server that this page came from. The key came in the address, behind #, which no browser sends on.
const given = new URLSearchParams(location.hash.slice(1)).get('key')
if (given) {
  sessionStorage.setItem('key', given)
  history.replaceState(null, '', location.pathname)
}

async function request(path, options) {
  const key = sessionStorage.getItem('key') || ''
  let answer
  try {
    answer = await fetch(`/api/${path}`, { ...options, headers: { ...options.headers, authorization: `Bearer ${key}` } })
  } catch {
    throw new Error('The server does not answer. Work is kept in the session file: start uscl-med3d view again.')
  }
  if (answer.ok) return answer
  let reason = answer.statusText
  try {
    reason = (await answer.json()).detail
  } catch {
    // no JSON: the status must do
  }
  if (answer.status === 401) reason = 'This page has no key: open the address that uscl-med3d view printed.'
  throw Object.assign(new Error(reason), { status: answer.status })
}

export async function get(path) {
  return (await request(path, { method: 'GET' })).json()
}

export async function getBytes(path) {
  return (await request(path, { method: 'GET' })).arrayBuffer()
}

export async function post(path, content) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(content ?? {}) }
  return request(path, options)
}

// Length of a JSON, the JSON, and labels of the box it names.
export function readChange(buffer) {
  const length = new DataView(buffer).getUint32(0, true)
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)))
  return { ...head, labels: new Uint8Array(buffer, 4 + length) }
}

export async function change(path, content) {
  const answer = content === undefined ? await request(path, { method: 'GET' }) : await post(path, content)
  return readChange(await answer.arrayBuffer())
}
