// Convolution: one sum of products over a window of every channel.
import {gradient, has, layout, nodes, parameter, value} from "./network.js";
import {term} from "./terms.js";

const weightAt = (weight, o, c, i, j) => ((o * weight.shape[1] + c) * weight.shape[2] + i) * weight.shape[3] + j;

export const conv = {
  title: "Convolution",
  text: node => `${term("convolution", "A convolution")}: each ${term("kernel")} of ${node.kernel}×${node.kernel} ${term("weight", "weights")} per ${term("channel")}
    slides over its input with ${term("stride")} ${node.stride} and ${term("padding")} ${node.padding[0]}, and makes one ${term("feature map")}.
    The number at a place is large where the input looks like the kernel.`,
  formula: node =>
    `y<sub>o,r,c</sub> = ${has(`${node.name}.bias`) ? "b<sub>o</sub> + " : ""}Σ<sub>k,i,j</sub> x<sub>k, ${moved("r", "i", node.stride, node.padding[0])}, ${moved("c", "j", node.stride, node.padding[1])}</sub> · w<sub>o,k,i,j</sub>`,
  size: node => {
    const before = layout(node.inputs[0]),
      after = layout(node.name);
    return `⌊(${before.h} + 2·${node.padding[0]} − ${node.kernel}) / ${node.stride}⌋ + 1 = ${after.h}`;
  },
  forward(node, {c: o, y, x}) {
    const source = node.inputs[0],
      before = layout(source),
      input = value(source),
      weight = parameter(`${node.name}.weight`);
    const k = node.kernel,
      top = y * node.stride - node.padding[0],
      left = x * node.stride - node.padding[1];
    const groups = Array.from({length: before.channels}, (_, c) => {
      const group = {title: `channel ${c}`, rows: k, columns: k, x: [], w: []};
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++) {
          const inside = top + i >= 0 && top + i < before.h && left + j >= 0 && left + j < before.w;
          group.x.push(inside ? input[c * before.count + (top + i) * before.w + left + j] : 0);
          group.w.push(weight.data[weightAt(weight, o, c, i, j)]);
        }
      return group;
    });
    const bias = has(`${node.name}.bias`) ? parameter(`${node.name}.bias`).data[o] : null;
    const padded =
      node.padding[0] + node.padding[1]
        ? `np.pad(x, ((0, 0), (${node.padding[0]}, ${node.padding[0]}), (${node.padding[1]}, ${node.padding[1]})))`
        : "x";
    const [row, column] = [y * node.stride, x * node.stride];
    return {
      operation: "sum",
      groups,
      bias,
      names: ["input", "kernel"],
      frame: {node: source, y: top, x: left, h: k, w: k},
      code: `(${padded}[:, ${row}:${row + k}, ${column}:${column + k}] * weight[${o}]).sum()${bias === null ? "" : ` + bias[${o}]`}`,
    };
  },
  backFormula: () =>
    "∂L/∂x<sub>k,y,x</sub> = Σ<sub>o,i,j</sub> ∂L/∂y<sub>o,r,c</sub> · w<sub>o,k,i,j</sub>, over all places (r, c) whose window contains (y, x)",
  backCode: "dx[k, y, x] = sum(dy[o, r, c] * weight[o, k, y - r*stride + padding, x - c*stride + padding])",
  backward(node, {c, y, x}) {
    const after = layout(node.name),
      dy = gradient(node.name),
      weight = parameter(`${node.name}.weight`),
      k = node.kernel;
    const groups = Array.from({length: after.channels}, (_, o) => {
      const group = {title: `map ${o}`, rows: k, columns: k, x: [], w: []};
      for (let i = 0; i < k; i++)
        for (let j = 0; j < k; j++) {
          const row = (y + node.padding[0] - i) / node.stride,
            column = (x + node.padding[1] - j) / node.stride;
          const there =
            Number.isInteger(row) &&
            Number.isInteger(column) &&
            row >= 0 &&
            row < after.h &&
            column >= 0 &&
            column < after.w;
          group.x.push(there ? dy[o * after.count + row * after.w + column] : 0);
          group.w.push(weight.data[weightAt(weight, o, c, i, j)]);
        }
      return group;
    });
    const first = side => Math.max(0, Math.ceil((side - k + 1) / node.stride)),
      last = side => Math.floor(side / node.stride);
    const [top, left] = [first(y + node.padding[0]), first(x + node.padding[1])];
    return {
      operation: "sum",
      groups,
      bias: null,
      names: ["gradient there", "kernel"],
      frame: {
        node: node.name,
        y: top,
        x: left,
        h: last(y + node.padding[0]) - top + 1,
        w: last(x + node.padding[1]) - left + 1,
      },
    };
  },
};
const moved = (place, offset, stride, padding) =>
  `${stride > 1 ? `${stride}·` : ""}${place}+${offset}${padding ? `−${padding}` : ""}`;
