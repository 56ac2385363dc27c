
"use strict";
const setup = JSON.parse(document.getElementById("setup").textContent);
const $ = id => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};
const WAITING = "their answer appears here while you draw";
const SIDES = setup.backends.map(b => b.package === "numpy_cnn" ? "first" : "second");  // each its colour
const STAGES = {
  conv1: ["Convolution", "what each stencil answers: red positive, blue negative"],
  relu1: ["ReLU", "negative answers become 0: white"],
  pool1: ["Max-pooling", "of each window the strongest answer: smaller, and less exact about the place"],
};

/* ---- numbers and pictures ---- */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), c => c.charCodeAt(0));
  const values = new Float32Array(bytes.buffer), [count, h, w] = packed.shape;
  return Array.from({length: count}, (_, n) => ({h, w, values: values.subarray(n * h * w, (n + 1) * h * w)}));
}
const largest = planes => planes.reduce((m, p) => p.values.reduce((n, v) => Math.max(n, Math.abs(v)), m), 0);
const mix = (from, to, t) => from.map((v, i) => v + (to[i] - v) * t);
const WHITE = [255, 255, 255], RED = [178, 24, 43], BLUE = [33, 102, 172], BLACK = [17, 17, 17];
const INK = v => mix(WHITE, BLACK, Math.min(1, Math.max(0, v)));
const SIGNED = v => mix(WHITE, v < 0 ? BLUE : RED, Math.min(1, Math.abs(v)) ** 0.7);

function paint(canvas, plane, scale, colour) {
  canvas.width = plane.w; canvas.height = plane.h;
  const context = canvas.getContext("2d"), image = context.createImageData(plane.w, plane.h);
  plane.values.forEach((v, i) => image.data.set([...colour(scale ? v / scale : 0), 255], 4 * i));
  context.putImageData(image, 0, 0);
}
function blank(canvas, h, w) { paint(canvas, {h, w, values: new Float32Array(h * w)}, 1, INK); }
const percent = p => (100 * p).toFixed(2) + " %";

/* ---- what stands on the page before anything is drawn ---- */
const labels = setup.backends.map(b => b.label);
$("about").textContent = `${labels.length > 1 ? "Two backends read it with the same" : "One backend reads it with"} `
  + `${setup.parameters.toLocaleString("en")} parameters while you draw: ${labels.map(
    l => l === "NumPy" ? "NumPy, every gradient by hand" : "PyTorch, gradients by autograd").join("; ")}. `
  + `Network: ${setup.name}.`;
if (setup.note) { $("note").textContent = setup.note; $("note").hidden = false; }

const head = make("tr", {}, make("th"), make("th"));
setup.backends.forEach((b, n) => head.append(make("th", {className: SIDES[n], textContent: b.label})));
document.querySelector("#chances thead").append(head);
const rows = Array.from({length: setup.classes}, (_, digit) => {
  const button = make("button", {type: "button", textContent: digit, title: `explain the score of ${digit}`});
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => { explain = explain === digit ? null : digit; ask(); });
  const bars = setup.backends.map((_, n) => make("i", {className: SIDES[n]}));
  const numbers = setup.backends.map((b, n) => make("td", {className: "number", id: `p-${b.package}-${digit}`}));
  const row = make("tr", {}, make("td", {className: "digit"}, button),
    make("td", {}, make("div", {className: "bars"}, ...bars)), ...numbers);
  document.querySelector("#chances tbody").append(row);
  return {row, button, bars, numbers};
});

const [height, width] = setup.imageSize;
const figure = (caption, id, side) => {
  const canvas = make("canvas", {id});
  $("pictures").append(make("figure", {}, make("figcaption", {className: side}, caption), canvas));
  blank(canvas, height, width);
  return canvas;
};
const input = figure(`the input, ${height}×${width}`, "input", "");
const saliencies = setup.backends.map((b, n) => figure(`${b.label}’s gradient`, `saliency-${b.package}`, SIDES[n]));

const kernels = unpack(setup.kernels);
const line = (label, side, className, count) => {
  const canvases = Array.from({length: count}, () => make("canvas"));
  const row = make("div", {className: `row ${className}`}, ...canvases);
  row.style.setProperty("--columns", Math.min(8, count));
  return {element: make("div", {className: "line"}, make("span", {className: side, textContent: label}), row), canvases};
};
const stencils = line("filters", "", "kernels", kernels.length);
$("stages").append(stencils.element);
kernels.forEach((k, n) => paint(stencils.canvases[n], k, largest(kernels), SIGNED));
const maps = {};
for (const stage of setup.maps) {
  const [title, told] = STAGES[stage] ?? [stage, "what the activation makes of the answers"], [count, h, w] = setup.shapes[stage];
  const lines = setup.backends.map((b, n) => line(b.label, SIDES[n], stage, count));
  lines.forEach((l, n) => l.canvases.forEach((c, i) => {
    c.id = `${stage}-${setup.backends[n].package}-${i}`;
    blank(c, h, w);
  }));
  $("stages").append(make("div", {className: "stage"},
    make("h3", {textContent: `${title}: ${count} map${count > 1 ? "s" : ""} of ${h}×${w}`}),
    make("p", {className: "small", textContent: told}), ...lines.map(l => l.element)));
  maps[stage] = lines.map(l => l.canvases);
}

/* ---- drawing ---- */
const paper = $("paper"), pen = paper.getContext("2d", {willReadFrequently: true});
const SIZE = paper.width, STEP = SIZE / setup.grid;
let inked = false, last = null, explain = null;
Object.assign(pen, {lineCap: "round", lineJoin: "round", lineWidth: SIZE / 12, strokeStyle: "#111", fillStyle: "#111"});

const place = event => {
  const box = paper.getBoundingClientRect();
  return [(event.clientX - box.left) * SIZE / box.width, (event.clientY - box.top) * SIZE / box.height];
};
function stroke(from, to) {
  pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
  inked = true; ask();
}
paper.addEventListener("pointerdown", event => {
  if (event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  last = place(event);
  stroke(last, last);
});
paper.addEventListener("pointermove", event => {
  if (!last) return;
  for (const e of event.getCoalescedEvents?.() ?? [event]) { const to = place(e); stroke(last, to); last = to; }
});
for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => { last = null; });

function clear() { pen.clearRect(0, 0, SIZE, SIZE); inked = false; explain = null; ask(); }
function move(right, down) {
  const copy = pen.getImageData(0, 0, SIZE, SIZE);
  pen.clearRect(0, 0, SIZE, SIZE);
  pen.putImageData(copy, right * SIZE / width, down * SIZE / height);  // by one pixel of the input
  ask();
}
const EXAMPLES = ["M150 140 Q225 60 290 135 Q310 195 215 215 Q325 225 300 305 Q240 390 140 320",
  "M145 110 H300 Q225 215 195 350 M175 225 H275", "M150 160 Q170 80 250 95 Q320 130 250 220 L145 335 H310",
  "M290 100 H175 L165 200 Q260 170 290 250 Q290 360 150 325", "M240 95 Q130 100 140 230 Q150 350 235 345 Q320 330 310 220 Q300 95 225 97"];
let example = 0;
$("clear").addEventListener("click", clear);
$("example").addEventListener("click", () => {
  pen.clearRect(0, 0, SIZE, SIZE);
  pen.stroke(new Path2D(EXAMPLES[example++ % EXAMPLES.length]));
  inked = true; explain = null; ask();
});
for (const button of document.querySelectorAll("[data-move]"))
  button.addEventListener("click", () => move(...button.dataset.move.split(",").map(Number)));
paper.addEventListener("keydown", event => {
  const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (by) { event.preventDefault(); move(...by); }
  if (event.key === "Escape") clear();
});
$("centre").addEventListener("change", ask);

function ink() {  // the mean opacity of each block of STEP×STEP points, as base64
  const {data} = pen.getImageData(0, 0, SIZE, SIZE), bytes = new Uint8Array(setup.grid ** 2);
  for (let y = 0; y < setup.grid; y++) for (let x = 0; x < setup.grid; x++) {
    let sum = 0;
    for (let j = 0; j < STEP; j++) for (let i = 0; i < STEP; i++) sum += data[4 * ((y * STEP + j) * SIZE + x * STEP + i) + 3];
    bytes[y * setup.grid + x] = Math.round(sum / STEP ** 2);
  }
  inked = bytes.some(b => b > 0);
  let text = "";
  bytes.forEach(b => { text += String.fromCharCode(b); });
  return btoa(text);
}

/* ---- asking: one question at a time, and then the newest ---- */
let asking = false, again = false;
async function ask() {
  $("hint").hidden = inked;
  $("hint").style.display = inked ? "none" : "";
  if (asking) { again = true; return; }
  asking = true;
  await new Promise(requestAnimationFrame);
  try {
    do {
      again = false;
      const drawn = ink();
      if (!inked) { forget(WAITING); continue; }
      const response = await fetch("/look", {method: "POST", headers: {"Content-Type": "application/json"},
        body: JSON.stringify({ink: drawn, centre: $("centre").checked, digit: explain})});
      if (!response.ok) { forget((await response.text()).trim(), true); continue; }
      show(await response.json());
    } while (again);
  } catch (error) {
    forget("the server does not answer any more: start the demo again", true);
  }
  asking = false;
  if (again) ask();
}

function forget(text, bad = false) {
  $("answer").replaceChildren(text);
  $("answer").classList.toggle("bad", bad);
  $("agreement").textContent = "";
  for (const {row, bars, numbers} of rows) {
    row.className = "";
    bars.forEach(bar => { bar.style.width = "0"; });
    numbers.forEach(cell => { cell.textContent = ""; });
  }
  blank(input, height, width);
  saliencies.forEach(canvas => blank(canvas, height, width));
  for (const stage of setup.maps) maps[stage].flat().forEach(canvas => blank(canvas, ...setup.shapes[stage].slice(1)));
  document.body.dataset.state = bad ? "error" : "empty";
}

function show(answer) {
  const all = setup.backends.map((b, n) => ({...answer.backends[b.package], n}));
  const seen = all.filter(s => !s.error), lost = all.filter(s => s.error);
  const best = seen.map(s => s.probabilities.indexOf(Math.max(...s.probabilities)));
  rows.forEach(({row, button, bars, numbers}, digit) => {
    row.classList.toggle("best", best[0] === digit);
    row.classList.toggle("chosen", explain === digit);
    button.setAttribute("aria-pressed", String(explain === digit));
    all.forEach((s, n) => {
      bars[n].style.width = s.error ? "0" : 100 * s.probabilities[digit] + "%";
      numbers[n].textContent = s.error ? "" : percent(s.probabilities[digit]);
      numbers[n].title = s.error ?? `score ${s.scores[digit]}`;
    });
  });
  const sure = seen[0].probabilities[best[0]] >= 0.8;
  const said = best.every(d => d === best[0]) ? best[0] : best.map((d, i) => `${labels[seen[i].n]} ${d}`).join(", ");
  $("answer").classList.remove("bad");
  $("answer").replaceChildren(make("b", {textContent: said}), sure ? "they are sure" : "not sure: the next is close");
  if (seen.length < 2) $("answer").lastChild.textContent = sure ? "it is sure" : "not sure: the next is close";

  paint(input, unpack(answer.input)[0], 1, INK);
  const gradients = seen.map(s => unpack(s.saliency));
  gradients.forEach((g, i) => paint(saliencies[seen[i].n], g[0], largest(g), SIGNED));
  lost.forEach(s => blank(saliencies[s.n], height, width));
  $("explained").textContent = `the score of ${seen[0].digit}`;
  const planes = setup.maps.map(stage => seen.map(s => unpack(s.maps[stage])));
  setup.maps.forEach((stage, k) => {
    planes[k].forEach((p, j) => p.forEach((plane, i) => paint(maps[stage][seen[j].n][i], plane, largest(p), SIGNED)));
    lost.forEach(s => maps[stage][s.n].forEach(canvas => blank(canvas, ...setup.shapes[stage].slice(1))));
  });

  $("agreement").textContent = lost.map(s => s.error).join("; ");
  if (seen.length > 1) {
    const apart = ([a, b]) => a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);
    const flat = p => p.flatMap(one => Array.from(one.values));
    const told = [["probabilities", apart(seen.map(s => s.probabilities))],
      ["feature maps", Math.max(...planes.map(p => apart(p.map(flat))))], ["gradient", apart(gradients.map(flat))]];
    $("agreement").textContent = "NumPy and PyTorch differ by at most "
      + told.map(([what, by]) => `${by ? by.toExponential(1) : "0"} in the ${what}`).join(", ")
      + ": roundings of float32.";
  }
  document.body.dataset.state = "shown";
}
forget(WAITING);
