// The selected layer: its maps, one of them enlarged, and the terms of the framed number.
import {calculation} from "./calculation.js";
import {$, listen, make} from "./dom.js";
import {explain, kindOf, titleOf} from "./explain.js";
import {
  array,
  compared,
  consumers,
  difference,
  flat,
  has,
  isVector,
  known,
  layout,
  loss,
  nodes,
  setup,
} from "./network.js";
import {kernelGradient} from "./kernel.js";
import {full, short} from "./numbers.js";
import {paint, scaleOf} from "./paint.js";
import {look, onChange, state} from "./state.js";
import {term} from "./terms.js";

const plane = (name, direction, c) => {
  const {h, w, count} = layout(name);
  return {h, w, numbers: array(name, direction).subarray(c * count, (c + 1) * count)};
};
const placeOf = event => {
  const box = $("map").getBoundingClientRect(),
    {h, w} = layout(state.node);
  return {
    y: Math.floor(((event.clientY - box.top) / box.height) * h),
    x: Math.floor(((event.clientX - box.left) / box.width) * w),
  };
};

export function buildDetail() {
  const map = $("map");
  listen(map, "pointerdown pointermove", event => {
    if (known() && (event.pointerType !== "touch" || event.type === "pointerdown" || event.isPrimary))
      look(placeOf(event));
  });
  map.addEventListener("keydown", event => {
    const by = {
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      PageUp: [0, 0, -1],
      PageDown: [0, 0, 1],
      Home: [-99, -99],
      End: [99, 99],
    }[event.key];
    if (!by || !known()) return;
    event.preventDefault();
    look({y: state.y + by[0], x: state.x + by[1], c: state.c + (by[2] ?? 0)});
  });
  $("channel").addEventListener("input", event => look({c: Number(event.target.value)}));
  for (const direction of ["forward", "backward"]) $(direction).addEventListener("click", () => look({direction}));
  onChange(paintDetail);
}

const cases = name =>
  (isVector(name) ? "" : `map ${state.c}, row ${state.y}, column ${state.x}`) ||
  `number ${state.y * layout(name).w + state.x}`;

function paintDetail() {
  const {node: name, direction} = state,
    node = nodes[name],
    kind = kindOf(name),
    forward = direction === "forward";
  $("layer").textContent = `${node === loss ? "loss" : name}: ${titleOf(name)}`;
  $("forward").setAttribute("aria-pressed", String(forward));
  $("backward").setAttribute("aria-pressed", String(!forward));
  $("backward").disabled = node === loss;
  const users = consumers(name);
  $("about").innerHTML = forward
    ? kind.text(node)
    : `The ${term("gradient")} of each number here: how the ${term("loss")} would change with it. It comes back from ${users.map(user => `<b>${user.name}</b>`).join(" and ")}${users.length > 1 ? ", and the parts are added" : ""}.`;
  const sources = forward ? [node] : users;
  const formula = layer => (forward ? kindOf(layer.name).formula(layer) : kindOf(layer.name).backFormula(layer));
  const different = sources.filter((layer, i) => sources.findIndex(one => formula(one) === formula(layer)) === i);
  $("formulas").replaceChildren(
    ...different.map(layer =>
      make(
        "div",
        {class: "formula"},
        make("p", {class: "math", html: formula(layer)}),
        ...(forward && kind.size ? [make("p", {class: "math", html: `size: ${kind.size(node)}`})] : []),
        make(
          "pre",
          {tabindex: "0", "aria-label": "code"},
          forward
            ? layer.code.map((line, i) => `${line}   # ${i ? "PyTorch" : "NumPy"}`).join("\n") || "x"
            : `${backCode(layer)}   # in the pullback`,
        ),
      ),
    ),
  );
  if (!known()) return;

  const {channels, h, w} = layout(name),
    chooser = $("channels");
  chooser.hidden = channels === 1;
  $("channel").max = channels - 1;
  $("channel").value = state.c;
  $("channel-name").textContent = `map ${state.c} of ${channels}`;
  const numbers = array(name, direction),
    place = {c: state.c, y: state.y, x: state.x};
  paint($("map"), plane(name, direction, state.c), scaleOf(numbers, name === "input" && forward), {
    side: Math.min(300, Math.max(h, w) * 40),
    frames: [{...place, h: 1, w: 1}],
    write: true,
  });
  $("map").style.aspectRatio = `${w} / ${h}`;
  $("map").style.width = `${w >= h ? 100 : (100 * w) / h}%`;
  const explained = explain(name, direction, place);
  const part = explained.parts.find(one => one.frame);
  paintSource(part && {c: channelOf(part), ...part.frame}, direction);
  const own = $("map-caption");
  own.textContent = `${forward ? "values" : "gradient"} of ${node === loss ? "the loss layer" : name}, ${isVector(name) ? `${layout(name).count} numbers` : `${h}×${w}`}`;
  const text = `${cases(name)}: ${full(explained.value)}`;
  $("map").setAttribute(
    "aria-label",
    `${own.textContent}. Arrow keys choose a number, page keys a map. Chosen: ${text}`,
  );
  $("place").textContent = text;
  $("calculation").replaceChildren(...calculation(explained, direction));
  $("kernel").replaceChildren(...(!forward && node.kind === "conv" ? kernelGradient(node, state.c) : []));
  $("difference").innerHTML = compareAt(name, direction, flat(name, place), explained.value);
}

const backCode = layer => {
  const {backCode: code} = kindOf(layer.name);
  return typeof code === "function" ? code(layer) : code;
};

// The channel that contributes most.
function channelOf({groups, operation}) {
  if (operation !== "sum") return 0;
  return groups.reduce((best, group, c) => (Math.abs(group.sum) > Math.abs(groups[best].sum) ? c : best), 0);
}

function paintSource(frame, direction) {
  $("parts").classList.toggle("alone", !frame);
  $("source").hidden = !frame;
  $("arrow").hidden = !frame;
  if (!frame) return;
  const {node: name, c} = frame,
    {h, w} = layout(name);
  paint(
    $("source-map"),
    plane(name, direction, c),
    scaleOf(array(name, direction), name === "input" && direction === "forward"),
    {side: Math.min(240, Math.max(h, w) * 40), frames: [frame], write: true},
  );
  $("source-map").style.aspectRatio = `${w} / ${h}`;
  $("source-map").style.width = `${w >= h ? 100 : (100 * w) / h}%`;
  $("source-caption").textContent =
    `${direction === "forward" ? "from" : "back from"} ${name === loss.name ? "the loss" : name}${isVector(name) ? "" : `, map ${c}`}`;
  $("source-map").setAttribute(
    "aria-label",
    `${$("source-caption").textContent}, with the numbers that are used framed`,
  );
}

// NumPy and PyTorch: NumPy's number, and the difference of PyTorch's.
function compareAt(name, direction, i, value) {
  const [first, second] = setup.backends;
  if (!second) return `Computed by ${first}.`;
  const apart = name === loss.name ? undefined : difference(name, direction);
  if (!compared() || !apart) return `Computed by ${first}; ${second} was not compared here.`;
  const most = apart.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
    equal = apart.filter(number => number === 0).length;
  return `<b>${first}</b> ${full(value)} &nbsp; <b>${second}</b> ${full(value - apart[i])} &nbsp; difference <b>${apart[i] ? short(apart[i]) : "none"}</b>.
    ${most ? `In this layer at most ${short(most, 2)}; ` : ""}${equal} of the layer's ${apart.length} numbers agree to the last bit.`;
}
