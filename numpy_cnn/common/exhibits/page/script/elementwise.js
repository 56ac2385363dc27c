// Elementwise layers, and layers that only move or add numbers.
import {flat, gradient, has, isVector, layout, loss, parameter, value} from "./network.js";
import {bracketed, short, signed} from "./numbers.js";
import {term} from "./terms.js";

const one = (name, {c, y, x}) => ({node: name, c, y, x, h: 1, w: 1});
const at = (name, {c, y, x}) => (isVector(name) ? `[${y * layout(name).w + x}]` : `[${c}, ${y}, ${x}]`);
const NAMES = {
  relu: "ReLU",
  leaky_relu: "leaky ReLU",
  elu: "ELU",
  silu: "SiLU",
  gelu: "GELU",
  tanh: "tanh",
  sigmoid: "sigmoid",
};
const FORMULAS = {
  relu: "max(x, 0)",
  leaky_relu: "x if x > 0, otherwise 0.01 · x",
  elu: "x if x > 0, otherwise e<sup>x</sup> − 1",
  silu: "x / (1 + e<sup>−x</sup>)",
  gelu: "x · Φ(x)",
  tanh: "tanh x",
  sigmoid: "1 / (1 + e<sup>−x</sup>)",
};

export const activation = {
  title: node => NAMES[node.op],
  text: node =>
    node.op === "relu"
      ? `${term("ReLU", "ReLU")}, the usual ${term("activation")}: what is below zero becomes zero, the rest stays.`
      : `${NAMES[node.op]}, an ${term("activation")}: a function of each number by itself.`,
  formula: node => `y = ${FORMULAS[node.op]}`,
  forward(node, place) {
    const source = node.inputs[0],
      x = value(source)[flat(source, place)],
      y = value(node.name)[flat(node.name, place)];
    const line =
      node.op === "relu"
        ? `max(${short(x)}, 0) = <b>${short(y)}</b>`
        : `${NAMES[node.op]}(${short(x)}) = <b>${short(y)}</b>`;
    const code = node.op === "relu" ? `max(x${at(source, place)}, 0)` : `ops.${node.op}(x)[0]${at(source, place)}`;
    return {operation: "lines", lines: [line], total: y, frame: one(source, place), code};
  },
  backFormula: node => (node.op === "relu" ? "∂L/∂x = ∂L/∂y if x > 0, otherwise 0" : "∂L/∂x = ∂L/∂y · f′(x)"),
  backCode: node => (node.op === "relu" ? "dx = np.where(x > 0, dy, 0)" : `dx = dy * derivative_of_${node.op}(x)`),
  backward(node, place) {
    const source = node.inputs[0],
      i = flat(source, place),
      x = value(source)[i],
      dy = gradient(node.name)[i],
      dx = gradient(source)[i];
    const frame = one(node.name, place);
    if (node.op !== "relu")
      return {operation: "lines", lines: [`${short(dy)} · f′(${short(x)}) = <b>${short(dx)}</b>`], total: dx, frame};
    const open = x > 0;
    return {
      operation: "lines",
      total: open ? dy : 0,
      frame,
      lines: [
        `x = ${short(x)} is ${open ? "above" : "not above"} 0, so the gradient ${open ? `passes: <b>${short(dy)}</b>` : "stops here: <b>0</b>"}`,
      ],
    };
  },
};

const EPS = 1e-5;
export const batch_norm = {
  title: "Batch norm",
  text: () =>
    `${term("batch norm", "Batch norm")} gives each ${term("channel")} the same mean and spread, then scales and shifts it by two learned numbers.`,
  formula: () => "y = (x − μ) / √(σ² + ε) · w + b, with μ, σ², w and b of the channel",
  forward(node, place) {
    const source = node.inputs[0],
      {c} = place,
      x = value(source)[flat(source, place)];
    const [mean, variance, weight, bias] = ["running_mean", "running_var", "weight", "bias"].map(
      name => parameter(`${node.name}.${name}`).data[c],
    );
    const total = ((x - mean) / Math.sqrt(variance + EPS)) * weight + bias;
    return {
      operation: "lines",
      total,
      frame: one(source, place),
      lines: [
        `(${short(x)} − ${bracketed(mean)}) / √(${short(variance)} + 10⁻⁵) · ${bracketed(weight)} ${signed(bias)} = <b>${short(total)}</b>`,
      ],
      code: `(x${at(source, place)} - running_mean[${c}]) / np.sqrt(running_var[${c}] + 1e-5) * weight[${c}] + bias[${c}]`,
    };
  },
  backFormula: () => "∂L/∂x = ∂L/∂y · w / √(σ² + ε), because μ and σ² are fixed after training",
  backCode: "dx = dy * weight / np.sqrt(running_var + 1e-5)",
  backward(node, place) {
    const {c} = place,
      dy = gradient(node.name)[flat(node.name, place)];
    const weight = parameter(`${node.name}.weight`).data[c],
      variance = parameter(`${node.name}.running_var`).data[c];
    const total = (dy * weight) / Math.sqrt(variance + EPS);
    return {
      operation: "lines",
      total,
      frame: one(node.name, place),
      lines: [`${short(dy)} · ${bracketed(weight)} / √(${short(variance)} + 10⁻⁵) = <b>${short(total)}</b>`],
    };
  },
};

// Conversion between a position in the maps and an index in the flattened vector.
const unfolded = (source, i) => {
  const {count, w} = layout(source);
  return {c: Math.floor(i / count), y: Math.floor((i % count) / w), x: (i % count) % w};
};
export const flatten = {
  title: "Flatten",
  text: () =>
    `${term("flatten", "Flatten")} writes the maps one after another, row by row, into one vector. No number changes.`,
  formula: () => "y<sub>i</sub> = x<sub>k,r,c</sub> with i = (k · H + r) · W + c",
  forward(node, place) {
    const i = flat(node.name, place),
      source = node.inputs[0],
      from = unfolded(source, i),
      total = value(source)[i];
    return {
      operation: "lines",
      total,
      frame: one(source, from),
      code: `x.reshape(-1)[${i}]`,
      lines: [`number ${i} is map ${from.c}, row ${from.y}, column ${from.x}: <b>${short(total)}</b>`],
    };
  },
  backFormula: () => "∂L/∂x<sub>k,r,c</sub> = ∂L/∂y<sub>i</sub>",
  backCode: "dx = dy.reshape(x.shape)",
  backward(node, place) {
    const i = flat(node.inputs[0], place),
      {w} = layout(node.name),
      total = gradient(node.name)[i];
    return {
      operation: "lines",
      total,
      lines: [`the gradient of number ${i} of the vector: <b>${short(total)}</b>`],
      frame: {node: node.name, c: 0, y: Math.floor(i / w), x: i % w, h: 1, w: 1},
    };
  },
};

export const add = {
  title: "Skip connection",
  text: () => `${term("skip connection", "A skip connection")}: what the block computed, plus what went around it.`,
  formula: () => "y = f(x) + s(x)",
  forward(node, place) {
    const [f, s] = node.inputs.map(name => value(name)[flat(name, place)]);
    return {
      operation: "lines",
      total: f + s,
      frame: one(node.inputs[0], place),
      code: `x1${at(node.name, place)} + x2${at(node.name, place)}`,
      lines: [`${short(f)} from the block ${signed(s)} around it = <b>${short(f + s)}</b>`],
    };
  },
  backFormula: () => "∂L/∂f = ∂L/∂y and ∂L/∂s = ∂L/∂y",
  backCode: "df, ds = dy, dy",
  backward(node, place) {
    const total = gradient(node.name)[flat(node.name, place)];
    return {
      operation: "lines",
      total,
      frame: one(node.name, place),
      lines: [`a sum passes its gradient on unchanged: <b>${short(total)}</b>`],
    };
  },
};
