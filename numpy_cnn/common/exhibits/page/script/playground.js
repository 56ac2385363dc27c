// A convolution with adjustable kernel, stride and padding, and the size of its output.
import {grid, picture} from "./calculation.js";
import {$, listen} from "./dom.js";
import {known, network, nodes, value} from "./network.js";
import {short} from "./numbers.js";
import {paint, scaleOf} from "./paint.js";
import {onChange, watching} from "./state.js";
import {colours, dark} from "./theme.js";

const play = {kernel: 3, stride: 1, padding: 0, which: "vertical", y: 0, x: 0};
const KERNELS = {
  vertical: [(i, j, m) => Math.sign(m - j), "left of the middle +1, right of it −1: vertical edges"],
  horizontal: [(i, j, m) => Math.sign(m - i), "above the middle +1, below it −1: horizontal edges"],
  blur: [(i, j, m, k) => 1 / k ** 2, "the mean of the window: a blurred picture"],
  sharpen: [
    (i, j, m, k) => (i === m && j === m ? 2 : 0) - 1 / k ** 2,
    "twice the middle minus the mean: sharper edges",
  ],
};
const weights = () => {
  const {kernel: k} = play,
    middle = (k - 1) / 2,
    [rule] = KERNELS[play.which],
    centre = Math.floor(middle);
  return Array.from({length: k * k}, (_, n) =>
    rule(Math.floor(n / k), n % k, play.which === "sharpen" ? centre : middle, k),
  );
};
const out = size => Math.floor((size + 2 * play.padding - play.kernel) / play.stride) + 1;

export function buildPlayground() {
  for (const name of ["kernel", "stride", "padding"])
    $(`play-${name}`).addEventListener("input", event => {
      play[name] = Number(event.target.value);
      paintPlayground();
    });
  $("play-which").addEventListener("change", event => {
    play.which = event.target.value;
    paintPlayground();
  });
  const map = $("play-output");
  listen(map, "pointermove pointerdown", event => {
    const box = map.getBoundingClientRect(),
      [h, w] = sizes().map(out);
    play.y = Math.floor(((event.clientY - box.top) / box.height) * h);
    play.x = Math.floor(((event.clientX - box.left) / box.width) * w);
    paintPlayground();
  });
  map.addEventListener("keydown", event => {
    const by = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!by) return;
    event.preventDefault();
    play.y += by[0];
    play.x += by[1];
    paintPlayground();
  });
  onChange(watching(paintPlayground, () => [network.records[network.step], dark()]));
}
const sizes = () => nodes.input.shape.slice(1);

function paintPlayground() {
  const [h, w] = sizes(),
    {kernel: k, stride: s, padding: p} = play,
    [rows, columns] = [out(h), out(w)];
  for (const name of ["kernel", "stride", "padding"]) $(`play-${name}-now`).textContent = play[name];
  const fits = rows > 0 && columns > 0;
  $("play-formula").innerHTML =
    `⌊(n + 2p − k) / s⌋ + 1 = ⌊(<b>${h}</b> + 2·<b>${p}</b> − <b>${k}</b>) / <b>${s}</b>⌋ + 1 = ${fits ? `<b>${rows}</b>` : "<b>nothing</b>: the kernel is larger than the padded picture"}`;
  $("play-about").textContent = KERNELS[play.which][1];
  if (!known() || !fits) return;
  play.y = Math.max(0, Math.min(rows - 1, play.y));
  play.x = Math.max(0, Math.min(columns - 1, play.x));
  const image = value("input").subarray(0, h * w),
    kernel = weights(),
    [ph, pw] = [h + 2 * p, w + 2 * p];
  // Zero has the colour of the paper in a network's input, although it may not be the smallest number.
  const padded = new Float32Array(ph * pw).fill(NaN);
  for (let y = 0; y < h; y++) padded.set(image.subarray(y * w, (y + 1) * w), (y + p) * pw + p);
  const at = (y, x) => padded[y * pw + x] || 0;
  const made = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      let sum = 0;
      for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) sum += at(r * s + i, c * s + j) * kernel[i * k + j];
      made[r * columns + c] = sum;
    }
  const tone = scaleOf(image, true),
    side = 300;
  paint(
    $("play-input"),
    {h: ph, w: pw, numbers: padded},
    number => (Number.isNaN(number) ? colours().none : tone(number)),
    {side, frames: [{y: play.y * s, x: play.x * s, h: k, w: k}]},
  );
  paint($("play-output"), {h: rows, w: columns, numbers: made}, scaleOf(made, false), {
    side,
    frames: [{y: play.y, x: play.x, h: 1, w: 1}],
  });
  $("play-weights").replaceChildren((k <= 3 ? grid : picture)({rows: k, columns: k}, kernel, "kernel"));
  for (const [name, [tall, wide]] of [
    ["play-input", [ph, pw]],
    ["play-output", [rows, columns]],
  ])
    $(name).style.aspectRatio = `${wide} / ${tall}`;
  $("play-result").textContent =
    `row ${play.y}, column ${play.x}: ${short(made[play.y * columns + play.x])}, the sum of ${k * k} products`;
  $("play-output").setAttribute(
    "aria-label",
    `The feature map, ${rows} by ${columns}. Arrow keys choose a place. ${$("play-result").textContent}`,
  );
}
