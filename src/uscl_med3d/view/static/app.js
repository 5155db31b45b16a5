// The page: what its buttons and keys do. Coordinates of the server are voxels of the input; the shown grid has every step-th.
import { COLOURS } from './colours.js'
import { Flat } from './flat.js'
import { change, get, getBytes, post } from './server.js'
import { Slices } from './slices.js'

const $ = (id) => document.getElementById(id)
const LAYOUTS = ['frame', 'planes', '3d']
const page = { state: null, view: null, tool: 'plus', layout: 'frame', chosen: null, hidden: false, frame: 0, busy: 0 }

function say(text, bad = false) {
  $('said').textContent = text
  $('said').classList.toggle('bad', bad)
}

// ------------------------------------------------------------------ objects
function objects() {
  const looks = new Map(page.state.looks.map((look) => [look.name, look]))
  return page.state.objects.map((object, at) => ({
    colour: COLOURS[at % COLOURS.length], opacity: 0.5, ...looks.get(object.name), ...object,
  }))
}

function chosen() {
  const names = page.state.objects.map((object) => object.name)
  if (!names.includes(page.chosen)) page.chosen = names[0] ?? null
  return page.chosen ?? page.state.classes[0] ?? 'object'
}

async function keepLooks(looks) {
  const plain = looks.map(({ name, colour, opacity }) => ({ name, colour, opacity }))
  show(await (await post('looks', { looks: plain })).json())
}

async function restyle(name, values) {
  await keepLooks(objects().map((object) => (object.name === name ? { ...object, ...values } : object)))
}

async function addObject(name) {
  const known = objects()
  if (!name) {
    const free = page.state.classes.find((each) => !known.some((object) => object.name === each))
    let number = known.length + 1
    while (known.some((object) => object.name === `object ${number}`)) number++
    name = free ?? `object ${number}`
  }
  page.chosen = name
  if (known.some((object) => object.name === name)) return show(page.state)
  const used = new Set(known.map((object) => object.colour))
  const colour = COLOURS.find((each) => !used.has(each)) ?? COLOURS[known.length % COLOURS.length]
  await keepLooks([...known, { name, colour, opacity: 0.5 }])
}

function listObjects() {
  const name = chosen()
  $('objects').replaceChildren(...objects().map((object) => {
    const row = document.createElement('li')
    row.setAttribute('aria-selected', object.name === name)
    row.append(
      field('input', { type: 'color', value: object.colour, title: 'Colour', onchange: (event) => act(() => restyle(object.name, { colour: event.target.value })) }),
      field('input', { className: 'name', value: object.name, maxLength: 64, title: 'Name', onfocus: () => choose(object.name), onchange: (event) => act(() => rename(object.name, event.target.value.trim())) }),
      field('span', { className: 'quality', textContent: quality(object), title: 'The model’s own estimate of the overlap (IoU); not checked against anything' }),
      field('button', { className: 'remove', textContent: '✕', title: 'Remove', onclick: (event) => { event.stopPropagation(); act(() => step('remove', { name: object.name })) } }),
    )
    if (object.name === name) {
      row.append(field('input', { className: 'opacity', type: 'range', min: 0, max: 1, step: 0.05, value: object.opacity, title: 'Opacity',
        oninput: (event) => paint({ [object.name]: Number(event.target.value) }),
        onchange: (event) => act(() => restyle(object.name, { opacity: Number(event.target.value) })) }))
    }
    row.onclick = () => choose(object.name)
    return row
  }))
}

function field(kind, values) {
  const made = document.createElement(kind)
  // A range takes its value only between its limits, so these come first.
  for (const name of ['type', 'min', 'max', 'step']) if (name in values) made[name] = values[name]
  return Object.assign(made, values)
}

function quality(object) {
  if (object.value === 0) return 'no click'
  return object.quality === null ? '' : `≈ ${Math.round(100 * Math.min(1, Math.max(0, object.quality)))} %`
}

function choose(name) {
  if (page.chosen === name) return
  page.chosen = name
  listObjects()
  drawMarks()
}

async function rename(name, fresh) {
  if (!fresh || fresh === name) return listObjects()
  page.chosen = fresh
  await step('rename', { name, new: fresh })
}

// ------------------------------------------------------------------ drawing
function paint(opacities = {}) {
  const drawn = objects().filter((object) => object.value > 0)
  page.view.setObjects(drawn.map((object) => ({ ...object, opacity: page.hidden ? 0 : (opacities[object.name] ?? object.opacity) })))
}

function show(state) {
  page.state = state
  document.title = state.saved ? state.title : `• ${state.title}` // a mask that is not written
  $('title').textContent = state.title
  $('undo').disabled = !state.undo
  $('redo').disabled = !state.redo
  $('save').disabled = !state.steps.length
  $('save').title = `Write ${state.output} (Ctrl+S)`
  $('key-frame').disabled = !state.steps.length
  $('key-frame').title = `${state.key_frames} (K)`
  $('flagged').hidden = !state.flagged.length
  $('steps-through').hidden = state.items.length < 2
  fill($('items'), state.items, (_, at) => at, state.index)
  fill($('models'), state.models, (name) => name, state.model)
  $('classes').replaceChildren(...state.classes.map((name) => new Option(name, name)))
  $('notes').replaceChildren(...state.notes.map((text) => field('li', { textContent: text })))
  listObjects()
  if (page.view) paint()
  drawMarks()
}

function fill(select, names, value, present) {
  select.replaceChildren(...names.map((name, at) => new Option(name, value(name, at))))
  select.value = present
}

function setFrame(frame, fromView = false) {
  const last = page.state.shape.frames - 1
  page.frame = Math.min(Math.max(frame, 0), last)
  $('slider').value = page.frame
  $('frame').value = `frame ${page.frame} / ${last}`
  if (!fromView) page.view.setFrame(page.frame)
  drawMarks()
}

function drawMarks() {
  const canvas = $('marks')
  const ratio = window.devicePixelRatio || 1
  Object.assign(canvas, { width: canvas.clientWidth * ratio, height: canvas.clientHeight * ratio })
  if (!page.view || page.layout !== 'frame' || page.hidden) return
  const pen = canvas.getContext('2d')
  pen.scale(ratio, ratio)
  const shown = (value) => (value - (page.state.step - 1) / 2) / page.state.step
  for (const { kind, name, numbers } of page.state.steps) {
    pen.globalAlpha = name === chosen() ? 1 : 0.45
    if (kind === 'click' && Math.round(numbers[2]) === page.frame) mark(pen, page.view.project({ x: shown(numbers[0]), y: shown(numbers[1]) }), numbers[3] === 1)
    if (kind === 'box' && numbers[2] <= page.frame && page.frame <= numbers[5]) {
      frame(pen, page.view.project({ x: shown(numbers[0]) - 0.5, y: shown(numbers[1]) - 0.5 }), page.view.project({ x: shown(numbers[3]) + 0.5, y: shown(numbers[4]) + 0.5 }))
    }
  }
}

function mark(pen, at, plus) {
  if (!at) return
  pen.lineWidth = 2
  pen.fillStyle = plus ? '#1fbf5f' : '#e0433a'
  pen.strokeStyle = '#fff'
  pen.beginPath()
  pen.arc(at[0], at[1], 7, 0, 7)
  pen.fill()
  pen.stroke()
  pen.beginPath()
  pen.moveTo(at[0] - 4, at[1])
  pen.lineTo(at[0] + 4, at[1])
  if (plus) {
    pen.moveTo(at[0], at[1] - 4)
    pen.lineTo(at[0], at[1] + 4)
  }
  pen.stroke()
}

function frame(pen, one, other) {
  if (!one || !other) return
  pen.lineWidth = 2
  pen.strokeStyle = '#fff'
  pen.setLineDash([6, 4])
  pen.strokeRect(one[0], one[1], other[0] - one[0], other[1] - one[1])
  pen.setLineDash([])
}

// ------------------------------------------------------------------ what the user does
// One action after another; a problem is said, and nothing is lost.
let queue = Promise.resolve()
function act(work) {
  queue = queue.then(async () => {
    $('busy').hidden = false
    try {
      await work()
    } catch (error) {
      say(error.message, true)
    }
    $('busy').hidden = true
  })
  return queue
}

async function step(path, content = {}) {
  const started = performance.now()
  const { state, box, labels } = await change(path, content)
  if (box) page.view.patchMask(box, labels)
  show(state)
  say(`${Math.round(performance.now() - started)} ms`)
}

function input(at) {
  const middle = (value) => value * page.state.step + Math.floor((page.state.step - 1) / 2)
  return [middle(at.x), middle(at.y), at.z]
}

function click(at, label) {
  if (at) act(() => step('click', { name: chosen(), numbers: [...input(at), label] }))
}

function box(one, other) {
  if (!one || !other || one.z !== other.z) return
  const [a, b] = [input(one), input(other)]
  const numbers = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), a[2], Math.max(a[0], b[0]), Math.max(a[1], b[1]), a[2]]
  act(() => step('box', { name: chosen(), numbers }))
}

async function save() {
  const answer = await (await post('save')).json()
  show(answer.state)
  const voxels = Object.entries(answer.voxels).map(([name, count]) => `${name}: ${count} voxels`)
  say(`Saved ${answer.file} (${voxels.join(', ')})`)
}

async function saveKeyFrame(overwrite = false) {
  try {
    const answer = await (await post('key_frame', { frame: page.frame, overwrite })).json()
    say(`Saved ${answer.file}. ${answer.hint}`)
  } catch (error) {
    if (error.status !== 409 || !confirm(`${error.message}. Replace it?`)) throw error
    await saveKeyFrame(true)
  }
}

function setTool(tool) {
  page.tool = tool
  for (const button of document.querySelectorAll('[data-tool]')) button.setAttribute('aria-pressed', button.dataset.tool === tool)
}

function setLayout(layout) {
  page.layout = layout
  for (const button of document.querySelectorAll('[data-layout]')) button.setAttribute('aria-pressed', button.dataset.layout === layout)
  // Beside one frame, NiiVue handles wheel and drag itself.
  $('shield').hidden = $('marks').hidden = layout !== 'frame'
  page.view.setLayout(layout)
  setFrame(page.frame)
}

function hide() {
  page.hidden = !page.hidden
  $('hide').textContent = page.hidden ? 'Show' : 'Hide'
  paint()
  drawMarks()
}

function nextFlagged() {
  const { flagged } = page.state
  if (flagged.length) setFrame(flagged.find((each) => each > page.frame) ?? flagged[0])
}

async function openItem(index) {
  const { state } = await change('use', { index })
  page.chosen = null
  await load(state)
}

async function load(state) {
  show(state)
  const [frames, step] = [state.shape.frames, state.step]
  const size = { frames, rows: Math.ceil(state.shape.rows / step), columns: Math.ceil(state.shape.columns / step) }
  size.aspect = state.spacing_mm[2] / state.spacing_mm[1]
  await page.view.setPicture(await getBytes('picture'), size)
  page.view.setMask((await change('mask')).labels)
  $('slider').max = frames - 1
  paint()
  setFrame(state.flagged[0] ?? Math.floor(frames / 2))
}

// ------------------------------------------------------------------ events
function pointerEvents() {
  const [shield, rubber] = [$('shield'), $('rubber')]
  let from = null
  shield.addEventListener('pointerdown', (event) => {
    shield.setPointerCapture(event.pointerId)
    from = event
  })
  shield.addEventListener('pointermove', (event) => {
    if (!from || page.tool !== 'box') return
    const area = $('stage').getBoundingClientRect()
    const [x, y] = [Math.min(from.clientX, event.clientX) - area.left, Math.min(from.clientY, event.clientY) - area.top]
    rubber.hidden = false
    Object.assign(rubber.style, { left: `${x}px`, top: `${y}px`, width: `${Math.abs(event.clientX - from.clientX)}px`, height: `${Math.abs(event.clientY - from.clientY)}px` })
  })
  shield.addEventListener('pointercancel', () => { from = null; rubber.hidden = true })
  shield.addEventListener('pointerup', (event) => {
    if (!from) return
    const moved = Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > 6
    if (page.tool === 'box' && moved) box(page.view.locate(from.clientX, from.clientY), page.view.locate(event.clientX, event.clientY))
    else if (!moved && page.tool !== 'box') click(page.view.locate(event.clientX, event.clientY), labelOf(event))
    from = null
    rubber.hidden = true
  })
  shield.addEventListener('wheel', (event) => {
    event.preventDefault()
    setFrame(page.frame + Math.sign(event.deltaY) * (event.shiftKey ? 10 : 1))
  }, { passive: false })
  $('stage').addEventListener('contextmenu', (event) => event.preventDefault())
  $('view').addEventListener('pointerdown', (event) => { from = event })
  $('view').addEventListener('pointerup', (event) => {
    if (from && page.layout === 'planes' && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) < 4 && page.tool !== 'box') {
      click(page.view.locate(event.clientX, event.clientY), labelOf(event))
    }
    from = null
  })
  new ResizeObserver(() => requestAnimationFrame(drawMarks)).observe($('stage'))
}

function labelOf(event) {
  return page.tool === 'minus' || event.button === 2 || event.altKey ? 0 : 1
}

const KEYS = {
  p: () => setTool('plus'), n: () => setTool('minus'), b: () => setTool('box'), h: hide, f: nextFlagged, k: () => act(saveKeyFrame),
  v: () => cycle(), a: () => act(() => addObject()), '?': () => $('shortcuts').showModal(),
  '[': () => through(-1), ']': () => through(1),
}

function cycle() {
  if (!$('shield').dataset.flat) setLayout(LAYOUTS[(LAYOUTS.indexOf(page.layout) + 1) % LAYOUTS.length])
}

function through(by) {
  const index = page.state.index + by
  if (index >= 0 && index < page.state.items.length) act(() => openItem(index))
}

function keyEvents() {
  document.addEventListener('keydown', (event) => {
    const typing = event.target.matches('input:not([type="range"]), select, dialog *')
    const key = event.key.toLowerCase()
    if (event.ctrlKey || event.metaKey) {
      const work = { z: () => step(event.shiftKey ? 'redo' : 'undo'), y: () => step('redo'), s: save }[key]
      if (work && !(typing && key !== 's')) {
        event.preventDefault()
        act(work)
      }
      return
    }
    if (typing || event.altKey) return
    const move = { arrowleft: -1, arrowright: 1 }[key]
    const number = Number(key)
    if (move) setFrame(page.frame + move * (event.shiftKey ? 10 : 1))
    else if (number >= 1 && number <= page.state.objects.length) choose(page.state.objects[number - 1].name)
    else if (KEYS[key]) KEYS[key]()
    else return
    event.preventDefault()
  })
}

function buttonEvents() {
  for (const button of document.querySelectorAll('[data-tool]')) button.onclick = () => setTool(button.dataset.tool)
  for (const button of document.querySelectorAll('[data-layout]')) button.onclick = () => setLayout(button.dataset.layout)
  $('undo').onclick = () => act(() => step('undo'))
  $('redo').onclick = () => act(() => step('redo'))
  $('hide').onclick = hide
  $('save').onclick = () => act(save)
  $('key-frame').onclick = () => act(() => saveKeyFrame())
  $('flagged').onclick = nextFlagged
  $('help').onclick = () => $('shortcuts').showModal()
  $('slider').oninput = (event) => setFrame(Number(event.target.value))
  $('previous').onclick = () => through(-1)
  $('next').onclick = () => through(1)
  // Fields are read now: the queue calls later, when they may say something else.
  $('items').onchange = ({ target: { value } }) => act(() => openItem(Number(value)))
  $('models').onchange = ({ target: { value } }) => act(() => step('use', { model: value }))
  $('add').onsubmit = (event) => {
    event.preventDefault()
    const name = $('name').value.trim()
    act(() => addObject(name))
    $('name').value = ''
  }
}

async function start() {
  const follow = (frame) => setFrame(frame, true)
  try {
    if (new URLSearchParams(location.search).has('flat') || !document.createElement('canvas').getContext('webgl2')) throw new Error('no WebGL 2')
    page.view = await Slices.make($('view'), follow)
  } catch (error) {
    page.view = await Flat.make($('view'))
    $('shield').dataset.flat = 'yes'
    for (const layout of LAYOUTS.slice(1)) document.querySelector(`[data-layout="${layout}"]`).disabled = true
    say(`One frame at a time: this browser draws no volumes (${error.message}).`)
  }
  await load(await get('state'))
  setTool('plus')
  setLayout('frame')
  pointerEvents()
  keyEvents()
  buttonEvents()
  document.body.dataset.ready = 'yes'
}

start().catch((error) => {
  $('title').textContent = error.message
  say(error.message, true)
})
