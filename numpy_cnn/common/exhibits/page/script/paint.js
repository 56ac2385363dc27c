// Planes of numbers on a canvas.
import {photo} from "./network.js";
import {cell} from "./numbers.js";
import {colours, diverging, inkTone, readable} from "./theme.js";

// `colour` takes a number; `frames` are {y, x, h, w} in cells.
export function paint(canvas, {h, w, numbers}, colour, {side = 320, frames = [], write = false} = {}) {
  const ratio = Math.min(2, devicePixelRatio || 1),
    size = Math.max(1, Math.round((ratio * side) / Math.max(h, w)));
  canvas.width = w * size;
  canvas.height = h * size;
  const pen = canvas.getContext("2d");
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const number = numbers[y * w + x],
        rgb = colour(number ?? NaN);
      pen.fillStyle = `rgb(${rgb})`;
      pen.fillRect(x * size, y * size, size, size);
      if (write && number !== undefined && size >= 36 * ratio) {
        pen.fillStyle = readable(rgb);
        pen.font = `${Math.min(13 * ratio, size / 3.2)}px system-ui, sans-serif`;
        pen.textAlign = "center";
        pen.textBaseline = "middle";
        pen.fillText(cell(number), (x + 0.5) * size, (y + 0.5) * size);
      }
    }
  for (const frame of frames) outline(pen, frame, size, ratio);
}

function outline(pen, {y, x, h, w}, size, ratio) {
  const width = Math.max(1.5 * ratio, Math.min(3 * ratio, size / 3));
  for (const [colour, line] of [
    ["#000b", width + 2 * ratio],
    [colours().frame, width],
  ]) {
    pen.strokeStyle = colour;
    pen.lineWidth = line;
    pen.strokeRect(x * size, y * size, w * size, h * size);
  }
}

export function scaleOf(numbers, isInput) {
  if (!isInput) {
    const most = numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    return number => diverging(number, most);
  }
  const low = Math.min(...numbers),
    high = Math.max(...numbers);
  return number => inkTone(number, low, high, photo);
}
