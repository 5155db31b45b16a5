// Frames on a plain canvas, for browsers without WebGL 2. The same calls as slices.js; layouts other than one frame are missing.
import { parts } from './colours.js'

const HEAD = 352 // bytes before the voxels of the NIfTI

export class Flat {
  static async make(parent) {
    const canvas = document.createElement('canvas')
    parent.replaceChildren(canvas)
    return new Flat(canvas)
  }

  constructor(canvas) {
    Object.assign(this, { canvas, frame: 0, layout: 'frame', colours: new Uint8ClampedArray(1024) })
    this.sheet = document.createElement('canvas')
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement)
  }

  async setPicture(buffer, size) {
    this.size = size
    const { columns, rows, frames } = size
    this.grey = new Uint8Array(buffer, HEAD, columns * rows * frames)
    this.mask = new Uint8Array(columns * rows * frames)
    Object.assign(this.sheet, { width: columns, height: rows })
    this.draw()
  }

  setMask(labels) {
    this.mask.set(labels)
    this.draw()
  }

  patchMask([frames, rows, columns], labels) {
    const width = columns[1] - columns[0]
    let from = 0
    for (let z = frames[0]; z < frames[1]; z++) {
      for (let y = rows[0]; y < rows[1]; y++, from += width) {
        this.mask.set(labels.subarray(from, from + width), (z * this.size.rows + y) * this.size.columns + columns[0])
      }
    }
    this.draw()
  }

  setObjects(objects) {
    this.colours.fill(0)
    for (const { value, colour, opacity } of objects) this.colours.set([...parts(colour), opacity * 255], 4 * value)
    this.draw()
  }

  setLayout() {
    this.draw()
  }

  setFrame(frame) {
    this.frame = frame
    this.draw()
  }

  place() {
    const box = this.canvas.getBoundingClientRect()
    const { columns, rows, aspect } = this.size
    const scale = Math.min(box.width / (columns * aspect), box.height / rows)
    const [width, height] = [columns * aspect * scale, rows * scale]
    return { box, width, height, left: (box.width - width) / 2, top: (box.height - height) / 2 }
  }

  draw() {
    if (!this.size) return
    const { columns, rows } = this.size
    const image = new ImageData(columns, rows)
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const to = 4 * (y * columns + x)
        const grey = this.grey[(this.frame * rows + rows - 1 - y) * columns + x]
        const at = 4 * this.mask[(this.frame * rows + y) * columns + x]
        const share = this.colours[at + 3] / 255
        for (let part = 0; part < 3; part++) image.data[to + part] = grey * (1 - share) + this.colours[at + part] * share
        image.data[to + 3] = 255
      }
    }
    this.sheet.getContext('2d').putImageData(image, 0, 0)
    const ratio = window.devicePixelRatio || 1
    const { box, left, top, width, height } = this.place()
    Object.assign(this.canvas, { width: box.width * ratio, height: box.height * ratio })
    const pen = this.canvas.getContext('2d')
    pen.scale(ratio, ratio)
    pen.drawImage(this.sheet, left, top, width, height)
  }

  locate(x, y) {
    const { box, left, top, width, height } = this.place()
    const column = Math.floor(((x - box.left - left) / width) * this.size.columns)
    const row = Math.floor(((y - box.top - top) / height) * this.size.rows)
    const ok = column >= 0 && row >= 0 && column < this.size.columns && row < this.size.rows
    return ok ? { x: column, y: row, z: this.frame } : null
  }

  project({ x, y }) {
    const { left, top, width, height } = this.place()
    return [left + ((x + 0.5) / this.size.columns) * width, top + ((y + 0.5) / this.size.rows) * height]
  }
}
