// The whole network as a graph: one button for each layer, with its first maps, and the edges between them.
import {titleOf} from "./explain.js";
import {$, make} from "./dom.js";
import {array, known, layout, loss, network, nodes, probabilities, setup} from "./network.js";
import {percent} from "./numbers.js";
import {scaleOf} from "./paint.js";
import {look, onChange, state, watching} from "./state.js";
import {colours, dark} from "./theme.js";

const MAPS = 6,
  SIDE = 46,
  GAP = 6;
const columns = {};
for (const node of setup.nodes) columns[node.name] = 1 + Math.max(0, ...node.inputs.map(name => columns[name]));

const shape = ({shape: sizes}) => (sizes.length === 3 ? sizes.join("×") : String(sizes[0]));
const shown = name =>
  nodes[name].shape.length === 1 ? 1 : Math.min(nodes[name].lane ? MAPS / 2 : MAPS, nodes[name].shape[0]);
const tiles = {};

export function buildOverview() {
  const graph = $("graph"),
    several = setup.nodes.some(node => node.lane);
  for (const node of setup.nodes) {
    const canvas = make("canvas", {"aria-hidden": "true"}),
      parts = node.name.split(".");
    const tile = make(
      "button",
      {type: "button", class: `tile ${node.kind}`},
      ...(several ? [make("span", {class: "shape"}, parts.length > 1 ? parts[0] : "\u00a0")] : []),
      make("span", {class: "name"}, node === loss ? "loss" : parts.at(-1)),
      make("span", {class: "unseen"}, `${parts.length > 1 ? `in the ${parts[1]}: ` : ""}${titleOf(node.name)}, `),
      canvas,
      make("span", {class: "shape"}, node === loss ? `${setup.classes} classes` : shape(node)),
    );
    if (parts.length > 1) tile.title = node.name;
    tile.style.gridColumn = columns[node.name];
    tile.style.gridRow = node.lane + 1;
    tile.addEventListener("click", event => {
      const box = canvas.getBoundingClientRect(),
        index = Math.floor((event.clientY - box.top) / (SIDE + GAP));
      look({
        node: node.name,
        ...(event.detail && shown(node.name) > 1 ? {c: Math.max(0, Math.min(shown(node.name) - 1, index))} : {}),
      });
    });
    tile.addEventListener("keydown", event => {
      const by = {ArrowRight: 1, ArrowLeft: -1}[event.key],
        next = setup.nodes[setup.nodes.indexOf(node) + by];
      if (!next) return;
      event.preventDefault();
      look({node: next.name});
      tiles[next.name].tile.focus();
    });
    tiles[node.name] = {tile, canvas};
    graph.append(tile);
  }
  graph.classList.toggle("lanes", several);
  onChange(
    watching(paintOverview, () => [state.node, state.direction, state.c, network.records[network.step], dark()]),
  );
  new ResizeObserver(drawEdges).observe(graph);
}

function paintOverview() {
  for (const {name} of setup.nodes) {
    const {tile, canvas} = tiles[name],
      chosen = name === state.node;
    tile.setAttribute("aria-pressed", String(chosen));
    if (name === loss.name) paintBars(canvas);
    else paintMaps(canvas, name);
  }
  drawEdges();
  reveal();
}
const reveal = () => {
  const {tile} = tiles[state.node],
    scroller = $("graph").parentElement;
  const from = tile.offsetLeft - 24,
    to = tile.offsetLeft + tile.offsetWidth + 24;
  if (from < scroller.scrollLeft || to > scroller.scrollLeft + scroller.clientWidth)
    scroller.scrollLeft = from - scroller.clientWidth / 3;
};

function paintMaps(canvas, name) {
  const ratio = Math.min(2, devicePixelRatio || 1),
    {h, w, count} = layout(name),
    vector = nodes[name].shape.length === 1;
  const tall = vector ? MAPS * (SIDE + GAP) - GAP : shown(name) * (SIDE + GAP) - GAP,
    wide = vector ? 18 : SIDE;
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${tall}px`;
  canvas.width = wide * ratio;
  canvas.height = tall * ratio;
  const pen = canvas.getContext("2d"),
    direction = state.direction;
  if (!known()) {
    pen.fillStyle = `rgb(${colours().none})`;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const numbers = array(name, direction),
    colour = scaleOf(numbers, name === "input" && direction === "forward");
  if (vector) stripe(pen, numbers, colour, canvas);
  else
    for (let c = 0; c < shown(name); c++) {
      const top = c * (SIDE + GAP) * ratio,
        size = SIDE * ratio;
      const small = new OffscreenCanvas(w, h),
        image = new ImageData(w, h);
      for (let i = 0; i < count; i++) image.data.set([...colour(numbers[c * count + i]), 255], 4 * i);
      small.getContext("2d").putImageData(image, 0, 0);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, top, size, size);
      const chosen = name === state.node && c === state.c,
        line = (chosen ? 3 : 1) * ratio;
      pen.strokeStyle = chosen ? colours().frame : colours().edge;
      pen.lineWidth = line;
      pen.strokeRect(line / 2, top + line / 2, size - line, size - line);
    }
}

// A long vector on a short stripe: each pixel shows the largest of its numbers.
function stripe(pen, numbers, colour, {width, height}) {
  const rows = Math.min(height, numbers.length);
  for (let row = 0; row < rows; row++) {
    const part = numbers.subarray(
      Math.floor((row * numbers.length) / rows),
      Math.floor(((row + 1) * numbers.length) / rows),
    );
    pen.fillStyle = `rgb(${colour(part.reduce((most, number) => (Math.abs(number) > Math.abs(most) ? number : most), 0))})`;
    pen.fillRect(0, (row * height) / rows, width, Math.ceil(height / rows));
  }
}

function paintBars(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1),
    [wide, tall] = [140, MAPS * (SIDE + GAP) - GAP];
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${tall}px`;
  canvas.width = wide * ratio;
  canvas.height = tall * ratio;
  const pen = canvas.getContext("2d"),
    {text, frame, none} = colours(),
    n = setup.classes,
    step = tall / n;
  pen.scale(ratio, ratio);
  pen.font = `${Math.min(13, step * 0.8)}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  if (!known()) return;
  const shares = probabilities(),
    best = shares.indexOf(Math.max(...shares));
  for (let i = 0; i < n; i++) {
    const middle = (i + 0.5) * step;
    pen.fillStyle = text;
    pen.fillText(String(i), 0, middle);
    pen.fillStyle = `rgb(${none})`;
    pen.fillRect(16, middle - step * 0.3, 64, step * 0.6);
    pen.fillStyle = i === best ? frame : `rgb(${colours().ink.map(channel => Math.round(channel * 0.6 + 60))})`;
    pen.fillRect(16, middle - step * 0.3, 64 * shares[i], step * 0.6);
    pen.fillStyle = text;
    if (step > 8) pen.fillText(percent(shares[i]), 84, middle);
  }
}

// From each map to each map that depends on it; layers that process maps separately have one line per map.
function drawEdges() {
  const graph = $("graph"),
    svg = $("edges"),
    paths = {plain: [], on: []};
  const box = graph.getBoundingClientRect();
  const ends = name => {
    const own = tiles[name].canvas.getBoundingClientRect(),
      count = name === loss.name ? 1 : shown(name);
    return Array.from({length: count}, (_, i) => own.top - box.top + (own.height * (i + 0.5)) / count).map(y => ({
      left: own.left - box.left,
      right: own.right - box.left,
      y,
    }));
  };
  for (const node of setup.nodes)
    for (const source of node.inputs) {
      const all = node.kind === "conv" || node.kind === "linear",
        from = ends(source),
        to = ends(node.name);
      const on = node.name === state.node || (state.direction === "backward" && source === state.node);
      from.forEach((a, i) =>
        to.forEach((b, j) => {
          if (!all && from.length === to.length && i !== j) return;
          if (on && all && state.node === node.name && j !== state.c && to.length > 1 && state.c < to.length) return;
          const far = columns[node.name] - columns[source] > 1 && node.kind === "add" && nodes[source].lane === 0;
          const reach = far ? 60 : (b.left - a.right) / 2,
            sink = far ? graph.clientHeight - 18 : null;
          const path = far
            ? `M${a.right},${a.y}C${a.right + reach},${a.y} ${a.right},${sink} ${a.right + reach},${sink}L${b.left - reach},${sink}C${b.left},${sink} ${b.left - reach},${b.y} ${b.left},${b.y}`
            : `M${a.right},${a.y}C${a.right + reach},${a.y} ${b.left - reach},${b.y} ${b.left},${b.y}`;
          paths[on ? "on" : "plain"].push(path);
        }),
      );
    }
  svg.setAttribute("width", graph.scrollWidth);
  svg.setAttribute("height", graph.scrollHeight);
  svg.innerHTML = `<path class="plain" d="${paths.plain.join("")}"/><path class="on" d="${paths.on.join("")}"/>`;
}
