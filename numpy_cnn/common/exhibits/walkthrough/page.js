"use strict";
const walk = JSON.parse(document.getElementById("numbers").textContent);
const at = (id) => document.getElementById(id);
const maximum = (plane) => Math.max(...plane.flat().map(Math.abs)) || 1;
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

const first = walk.filters[0];
const [H, W] = [walk.inputs.length, walk.inputs[0].length];
const [rows, columns] = [first.conv.length, first.conv[0].length];
const k = first.kernel.length;
const state = { filter: walk.start[0], row: walk.start[1], column: walk.start[2] };

// Numbers as people write them: a true minus, few digits, no 0.00 for what is not 0.
function told(value, digits = 2) {
  if (value === 0) return "0";
  const whole = Number.isInteger(value) && Math.abs(value) < 100, text = whole ? String(value) : value.toFixed(digits);
  if (Math.abs(value) >= 0.5 * 10 ** -digits) return text.replace("-", "−");
  const [front, power] = value.toExponential(1).split("e");
  return `${front.replace("-", "−")}·${tenTo(Number(power))}`;
}
const tenTo = (power) => `10${[...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("")}`;
const near = (value) => (value >= 5e-4 && value <= 0.9995 ? told(value, 3) : precise(value));
const precise = (value) => (Math.abs(value) < 1e-4 ? told(value) : String(Number(value.toPrecision(4))).replace("-", "−"));

// White at 0, to red above it and to blue below it.
function signed(value, largest) {
  const t = Math.sign(value) * Math.min(1, Math.abs(value) / largest) ** 0.7;  // faint colours are still to be seen
  const end = t > 0 ? [178, 24, 43] : [33, 102, 172];
  return end.map((channel) => Math.round(255 + (channel - 255) * Math.abs(t)));
}
const grey = (value) => Array(3).fill(Math.round(255 * Math.max(0, Math.min(1, value))));
const NONE = [228, 228, 228];

// One square of colour for each number; `frame` is [row, column, height, width].
function paint(id, height, width, colour, frame) {
  const canvas = at(id), scale = Math.ceil(560 / Math.max(height, width));
  if (canvas.width !== width * scale) {
    [canvas.width, canvas.height] = [width * scale, height * scale];
    canvas.style.aspectRatio = `${width} / ${height}`;
  }
  const context = canvas.getContext("2d");
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      context.fillStyle = `rgb(${colour(row, column)})`;
      context.fillRect(column * scale, row * scale, scale, scale);
    }
  if (frame) {
    context.strokeStyle = "#e69f00";
    context.lineWidth = Math.max(4, scale / 4);
    const [row, column, tall, broad] = frame.map((side) => side * scale);
    context.strokeRect(column, row, broad, tall);
  }
}

// A few numbers to be read; `here` is the place to be framed. Small ones share a power of ten, told below the grid.
function numbers(id, values, { colour, digits = 2, here } = {}) {
  const largest = maximum(values), grid = at(id), caption = grid.parentElement.querySelector("figcaption");
  const power = largest < 0.01 ? Math.floor(Math.log10(largest)) : 0;
  caption.dataset.words ??= caption.textContent;
  caption.textContent = caption.dataset.words + (power ? ` (in ${tenTo(power)})` : "");
  grid.style.setProperty("--columns", values[0].length);
  grid.replaceChildren(...values.flatMap((line, row) => line.map((value, column) => {
    const cell = document.createElement("span"), rgb = colour ? colour(value) : signed(value, largest);
    cell.textContent = Math.abs(value) < largest / 1e4 ? told(0) : told(value / 10 ** power, power ? 1 : digits);
    cell.style.background = `rgb(${rgb})`;
    cell.style.color = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2] < 140 ? "#fff" : "#222";
    if (here && here[0] === row && here[1] === column) cell.className = "here";
    return cell;
  })));
}

function bars(id, values) {
  const low = Math.min(0, ...values), span = Math.max(0, ...values) - low || 1;
  at(id).replaceChildren(...values.flatMap((value, index) => {
    const [name, bar, number] = ["span", "i", "span"].map((kind) => document.createElement(kind));
    name.textContent = `class ${index}${index === walk.label ? " ✓" : ""}`;
    bar.className = index === walk.label ? "right" : "";
    bar.style.setProperty("--zero", `${(-100 * low) / span}%`);
    bar.style.setProperty("--from", `${(100 * (Math.min(0, value) - low)) / span}%`);
    bar.style.setProperty("--size", `${(100 * Math.abs(value)) / span}%`);
    number.textContent = told(value, 3);
    return [name, bar, number];
  }));
}

const input = (row, column) => (walk.inputs[row] || [])[column] ?? 0;
const square = (make) => Array.from({ length: k }, (_, i) => Array.from({ length: k }, (_, j) => make(i, j)));
const corner = (row, column) => [row * walk.stride - walk.padding, column * walk.stride - walk.padding];

// What all places up to (row, column), in reading order, hand to the pixels and to this filter's kernel.
function handedBack(row, column) {
  const pixels = Array.from({ length: H }, () => Array(W).fill(0)), kernel = square(() => 0);
  for (let place = 0; place <= row * columns + column; place++) {
    const [r, c] = [Math.floor(place / columns), place % columns], [top, left] = corner(r, c);
    walk.filters.forEach((filter, index) => {
      const gradient = filter.dconv[r][c];
      if (gradient === 0) return;
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++) {
          if (pixels[top + i] && left + j >= 0 && left + j < W) pixels[top + i][left + j] += gradient * filter.kernel[i][j];
          if (index === state.filter) kernel[i][j] += gradient * input(top + i, left + j);
        }
    });
  }
  return { pixels, kernel };
}

function say(id, ...lines) {
  at(id).replaceChildren(...lines.flatMap((line, index) => {
    const part = document.createElement(line.strong ? "b" : "span");
    part.textContent = line.strong || line;
    return index ? [document.createElement("br"), part] : [part];
  }));
}

function show() {
  const { row, column } = state, filter = walk.filters[state.filter], [top, left] = corner(row, column);
  const answer = filter.conv[row][column], gradient = filter.dconv[row][column];
  const patch = square((i, j) => input(top + i, left + j));
  const products = square((i, j) => patch[i][j] * filter.kernel[i][j]);
  const frame = [top, left, k, k], one = [row, column, 1, 1];
  const loudest = maximum(filter.conv);
  at("where").textContent = `row ${row}, column ${column}`;
  at("place").value = row * columns + column;

  // Convolution
  const inUnit = patch.flat().every((value) => value >= 0 && value <= 1);
  const shade = inUnit ? grey : undefined;
  paint("input", H, W, (r, c) => grey(walk.pixels[r][c]), frame);
  numbers("patch", patch, { colour: shade });
  numbers("kernel", filter.kernel);
  numbers("products", products);
  const parts = products.flat().filter((part) => part !== 0).map((part) => told(part));
  if (filter.bias) parts.push(`${told(filter.bias)} (the bias)`);
  const added = (parts.length ? parts.join(" + ") : "0").replace(/\+ −/g, "− ");
  say("sum", parts.length > 12 ? `${parts.length} numbers added up` : added, { strong: `= ${told(answer, 3)}` });
  const done = row * columns + column;
  paint("conv", rows, columns, (r, c) => (r * columns + c <= done ? signed(filter.conv[r][c], loudest) : NONE), one);

  // ReLU and pooling
  const relu = filter.relu[row][column], p = walk.poolSize;
  const [up, across] = [Math.floor(row / p), Math.floor(column / p)];
  const inside = up < filter.pool.length && across < filter.pool[0].length;
  const window = (plane) => plane.slice(up * p, up * p + p).map((line) => line.slice(across * p, across * p + p));
  const here = [row - up * p, column - across * p], won = inside && filter.routes[row][column] > 0;
  paint("relu", rows, columns, (r, c) => signed(filter.relu[r][c], loudest), one);
  paint("pool", filter.pool.length, filter.pool[0].length, (r, c) => signed(filter.pool[r][c], loudest), inside ? [up, across, 1, 1] : null);
  numbers("window", window(filter.relu), { here });
  const rectified = answer > 0 ? `ReLU: ${told(answer, 3)} is above zero and stays.` : `ReLU: ${told(answer, 3)} is not above zero and becomes 0.`;
  const largest = inside ? filter.pool[up][across] : 0;
  say("pooling", rectified, !inside ? "This place is at the rim, outside every window." : won
    ? { strong: largest > 0 ? `The largest of its window: ${told(relu, 3)} goes on.` : "All are 0, and the first stands for them: 0 goes on." }
    : { strong: `${told(largest, 3)} is ${relu === largest ? "as large and came first" : "larger"}: it goes on instead.` });

  // Backward to this place
  const dlargest = maximum(filter.dpool), dclosed = won && answer <= 0;
  paint("dpool", filter.dpool.length, filter.dpool[0].length, (r, c) => signed(filter.dpool[r][c], dlargest), inside ? [up, across, 1, 1] : null);
  numbers("routed", window(filter.drelu), { here, digits: 4 });
  const open = (r, c) => filter.routes[r][c] > 0 && filter.conv[r][c] > 0;
  paint("dconv", rows, columns, (r, c) => (open(r, c) ? signed(filter.dconv[r][c], dlargest) : NONE), one);
  say("routing", won ? `Pooling chose this place, so the window’s ${told(filter.drelu[row][column], 4)} comes here.` : "Pooling did not choose this place: no gradient comes here.",
    { strong: dclosed ? "But ReLU was shut: 0 gets through." : `${told(gradient, 4)} reaches the feature map.` });

  // Backward to the pixels and the kernel
  const single = (id) => {
    at(id).textContent = told(gradient, 4);
    at(id).style.background = `rgb(${signed(gradient, dlargest * 2)})`;
  };
  single("gradient");
  single("gradient-again");
  numbers("kernel-again", filter.kernel);
  numbers("shares", square((i, j) => gradient * filter.kernel[i][j]), { digits: 3 });
  say("sharing", gradient === 0 ? "Nothing came back to this place, so its pixels get nothing from it."
    : "A pixel that counted much in the sum gets much of the blame; one that the kernel multiplied by 0 gets none.");
  const back = handedBack(row, column), most = maximum(walk.dinputs);
  paint("sofar", H, W, (r, c) => (back.pixels[r][c] ? signed(back.pixels[r][c], most) : NONE), frame);
  paint("dinput", H, W, (r, c) => (walk.dinputs[r][c] ? signed(walk.dinputs[r][c], most) : NONE), frame);
  numbers("patch-again", patch, { colour: shade });
  numbers("adds", square((i, j) => gradient * patch[i][j]), { digits: 3 });
  numbers("dkernel-sofar", back.kernel, { digits: 3 });
  numbers("dkernel", filter.dkernel, { digits: 3 });
}

function tellOnce() {
  document.title = `${walk.name} walks through a CNN`;
  at("name").textContent = walk.name;
  at("backend").textContent = walk.backend;
  at("kernel-told").textContent = `The kernel (${walk.kernel}) looks for ${walk.looksFor}. It is laid on ${k}×${k} numbers of the picture; each is multiplied by the kernel’s number on it, and the products are added up.`;
  const all = walk.inputs.flat(), [low, high] = [Math.min(...all), Math.max(...all)];
  const scaled = low < 0 || high > 1 ? `, which the network takes scaled to between ${told(low)} and ${told(high)}` : ": 0 is black, 1 is white";
  at("input-size").textContent = `${H}×${W} numbers${scaled}`;
  at("conv-size").textContent = `${rows}×${columns}`;
  at("pool-size").textContent = `${first.pool.length}×${first.pool[0].length}`;
  const says = walk.epochs[0][2], right = walk.probabilities[walk.label];
  at("decision").textContent = `The pooled numbers, ${walk.filters.length * first.pool.flat().length} of them, go into a dense layer${walk.hidden ? ` of ${walk.hidden} units and on into another` : ""}. ` +
    `Before any learning on this picture the network says class ${says}${says === walk.label ? ", which is right" : `, which is wrong: it is ${walk.label}`}. ` +
    `The loss is −log of the right class’s probability: −log ${precise(right)} = ${precise(walk.loss)}.`;
  at("learning").textContent = `After each look every weight takes a small step against its gradient${walk.fixed ? "; the kernel is fixed and stays" : ""}.`;
  at("epochs").tBodies[0].replaceChildren(...walk.epochs.flatMap(([loss, share, answer], step) => {
    if (step > 20 && step < walk.epochs.length - 1) return [];  // a long table shows its beginning and its end
    const line = document.createElement("tr"), good = answer === walk.label;
    for (const text of [step, `${answer} ${good ? "✓" : "✗"}`, near(share), near(loss)]) line.insertCell().textContent = text;
    line.cells[1].className = good ? "yes" : "no";
    return [line];
  }));
  at("noise").textContent = walk.kernel === "learned" ? "" : ": its weights are still random, so it looks like noise";
  bars("scores", walk.scores);
  bars("probabilities", walk.probabilities);
  const reached = walk.dinputs.flat().filter((value) => value !== 0).length;
  at("reached").textContent = `The pixels’ gradient in the end: ${reached} of ${H * W} pixels got some. Where it is red, a brighter pixel would make the loss larger; where it is blue, smaller.`;
  at("dkernel-told").textContent = `the kernel’s gradient in the end${walk.fixed ? "; this kernel is fixed and stays" : "; its step is against this"}`;
}

function listen() {
  const go = (place) => {
    const inRange = Math.max(0, Math.min(rows * columns - 1, place));
    [state.row, state.column] = [Math.floor(inRange / columns), inRange % columns];
    show();
  };
  at("place").max = rows * columns - 1;
  at("place").addEventListener("input", (event) => go(Number(event.target.value)));

  // A click or a drag puts the kernel there: `cell` turns a pixel of the canvas into a place on the feature map.
  const pointed = (id, height, width, cell) => {
    const move = (event) => {
      const box = at(id).getBoundingClientRect();
      const [r, c] = [(event.clientY - box.top) / box.height * height, (event.clientX - box.left) / box.width * width].map(cell);
      go(Math.max(0, Math.min(rows - 1, r)) * columns + Math.max(0, Math.min(columns - 1, c)));
    };
    at(id).addEventListener("pointerdown", move);
    at(id).addEventListener("pointermove", (event) => event.buttons && event.pointerType === "mouse" && move(event));
  };
  const centred = (pixel) => Math.round((Math.floor(pixel) - Math.floor(k / 2) + walk.padding) / walk.stride);
  for (const id of ["input", "sofar", "dinput"]) pointed(id, H, W, centred);
  for (const id of ["conv", "relu", "dconv"]) pointed(id, rows, columns, Math.floor);
  for (const id of ["pool", "dpool"]) pointed(id, first.pool.length, first.pool[0].length, (pixel) => Math.floor(pixel) * walk.poolSize);

  let timer = 0;
  const halt = () => { clearInterval(timer); timer = 0; at("play").textContent = "▶"; };
  at("play").addEventListener("click", () => {
    if (timer) return halt();
    at("play").textContent = "❚❚";
    if (state.row * columns + state.column === rows * columns - 1) go(0);
    timer = setInterval(() => {
      const next = state.row * columns + state.column + 1;
      next < rows * columns ? go(next) : halt();
    }, reduced ? 600 : 80);
  });

  at("which").hidden = walk.filters.length < 2;
  at("filter").replaceChildren(...walk.filters.map((_, index) => new Option(index, index, false, index === state.filter)));
  at("filter").addEventListener("change", (event) => { state.filter = Number(event.target.value); show(); });
}

tellOnce();
listen();
show();
