// Colours that people with any colour vision tell apart (Okabe and Ito).
export const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#cc79a7', '#0072b2', '#d55e00']

export function parts(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))
}
