// The only file that knows NiiVue. Indices are (column, row, frame) of the shown grid, row 0 on top; in NiiVue rows run upwards.
import { parts } from './colours.js'

export class Slices {
  static async make(parent, onFrame) {
    const { Niivue, DRAG_MODE, SLICE_TYPE, SHOW_RENDER } = window.niivue
    const canvas = document.createElement('canvas')
    parent.replaceChildren(canvas)
    const nv = new Niivue({
      backColor: [0, 0, 0, 1], crosshairWidth: 0, crosshairColor: [1, 1, 1, 0.6], dragMode: DRAG_MODE.none,
      isColorbar: false, isOrientCube: false, isSliceMM: false, logLevel: 'error', show3Dcrosshair: false,
      isOrientationTextVisible: false, multiplanarShowRender: SHOW_RENDER.NEVER, loadingText: '', isResizeCanvas: true,
      dragAndDropEnabled: false, isRuler: false, doubleTouchTimeout: 0,
    })
    await nv.attachToCanvas(canvas)
    return new Slices(nv, canvas, SLICE_TYPE, onFrame)
  }

  constructor(nv, canvas, types, onFrame) {
    Object.assign(this, { nv, canvas, types, layout: 'frame', frame: 0 })
    nv.drawOpacity = 1
    nv.onLocationChange = (place) => {
      const frame = Math.round(place.vox[2])
      if (this.size && frame !== this.frame) {
        this.frame = frame
        onFrame(frame)
      }
    }
  }

  async setPicture(buffer, size) {
    this.size = size
    await this.nv.loadFromArrayBuffer(buffer, 'picture.nii')
    this.nv.volumes[0].cal_min = 0
    this.nv.volumes[0].cal_max = 255
    this.nv.updateGLVolume()
    this.nv.createEmptyDrawing()
    this.setLayout(this.layout)
  }

  setMask(labels) {
    const { columns, rows, frames } = this.size
    this.patchMask([[0, frames], [0, rows], [0, columns]], labels)
  }

  patchMask([frames, rows, columns], labels) {
    const width = columns[1] - columns[0]
    let from = 0
    for (let z = frames[0]; z < frames[1]; z++) {
      for (let y = rows[0]; y < rows[1]; y++, from += width) {
        const to = (z * this.size.rows + this.size.rows - 1 - y) * this.size.columns + columns[0]
        this.nv.drawBitmap.set(labels.subarray(from, from + width), to)
      }
    }
    this.nv.refreshDrawing(true)
  }

  setObjects(objects) {
    const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [''] }
    for (const { value, colour, opacity } of objects.toSorted((one, other) => one.value - other.value)) {
      const [r, g, b] = parts(colour)
      table.R.push(r)
      table.G.push(g)
      table.B.push(b)
      table.A.push(Math.round(opacity * 255))
      table.I.push(value)
      table.labels.push(String(value))
    }
    if (objects.length) this.nv.setDrawColormap(table)
  }

  setLayout(layout) {
    this.layout = layout
    const type = { frame: this.types.AXIAL, planes: this.types.MULTIPLANAR, '3d': this.types.RENDER }[layout]
    this.nv.opts.crosshairWidth = layout === 'planes' ? 0.7 : 0
    // In three dimensions the grey values would hide what lies in them.
    if (this.size) this.nv.setOpacity(0, layout === '3d' ? 0.12 : 1)
    this.nv.setSliceType(type)
    this.setFrame(this.frame)
  }

  setFrame(frame) {
    this.frame = frame
    if (!this.size) return
    const [x, y] = this.nv.scene.crosshairPos
    this.nv.scene.crosshairPos = [x, y, (frame + 0.5) / this.size.frames]
    this.nv.drawScene()
  }

  // The voxel under a point of the window; null where there is none.
  locate(x, y) {
    if (this.layout === '3d') return null
    const box = this.canvas.getBoundingClientRect()
    const ratio = this.canvas.width / box.width
    const part = this.nv.canvasPos2frac([(x - box.left) * ratio, (y - box.top) * ratio])
    if (!part || part[0] < 0) return null
    const [column, up, frame] = this.nv.frac2vox(part)
    return this.inside({ x: column, y: this.size.rows - 1 - up, z: frame })
  }

  inside(at) {
    const ok = at.x >= 0 && at.y >= 0 && at.z >= 0
    return ok && at.x < this.size.columns && at.y < this.size.rows && at.z < this.size.frames ? at : null
  }

  // The point, in pixels of the page from the canvas's corner, where a voxel of the present frame is drawn.
  project({ x, y }) {
    if (this.layout !== 'frame') return null
    const { columns, rows, frames } = this.size
    const part = [(x + 0.5) / columns, (rows - 0.5 - y) / rows, (this.frame + 0.5) / frames]
    const at = this.nv.frac2canvasPos(part)
    const ratio = this.canvas.width / this.canvas.getBoundingClientRect().width
    return at && [at[0] / ratio, at[1] / ratio]
  }
}
