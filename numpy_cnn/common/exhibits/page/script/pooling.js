// Pooling: the largest number of a window, or the mean of a map.
import {gradient, layout, value} from "./network.js";
import {term} from "./terms.js";

function windowOf(node, {c, y, x}) {
  const source = node.inputs[0],
    {count, w} = layout(source),
    input = value(source),
    k = node.kernel,
    numbers = [];
  for (let i = 0; i < k; i++)
    for (let j = 0; j < k; j++) numbers.push(input[c * count + (y * node.stride + i) * w + x * node.stride + j]);
  let chosen = 0; // the first of equal ones, as both backends have it
  numbers.forEach((number, n) => {
    if (number > numbers[chosen] || Number.isNaN(number)) chosen = n;
  });
  return {numbers, chosen};
}

export const max_pool = {
  title: "Max-pooling",
  text: node =>
    `${term("max-pooling", "Max-pooling")} keeps the largest number of each window of ${node.kernel}×${node.kernel}, and drops the rest.`,
  formula: node => `y<sub>k,r,c</sub> = max<sub>i,j</sub> x<sub>k, ${node.stride}r+i, ${node.stride}c+j</sub>`,
  forward(node, place) {
    const {numbers, chosen} = windowOf(node, place),
      {c, y, x} = place,
      k = node.kernel,
      [row, column] = [y * k, x * k];
    return {
      operation: "max",
      groups: [{title: "window", rows: k, columns: k, x: numbers, chosen}],
      frame: {node: node.inputs[0], c, y: row, x: column, h: k, w: k},
      code: `x[${c}, ${row}:${row + k}, ${column}:${column + k}].max()`,
    };
  },
  backFormula: () => "∂L/∂x = ∂L/∂y at the largest number of the window, 0 at the others",
  backCode: "dx[k, y, x] = dy[k, r, c] if x[k, y, x] is the first maximum of its window else 0",
  backward(node, {c, y, x}) {
    const after = layout(node.name),
      r = Math.floor(y / node.stride),
      column = Math.floor(x / node.stride);
    if (r >= after.h || column >= after.w)
      return {operation: "lines", lines: ["No window reaches this place: its gradient is 0."], total: 0};
    const {numbers, chosen} = windowOf(node, {c, y: r, x: column}),
      here = (y - r * node.stride) * node.kernel + x - column * node.stride;
    const dy = gradient(node.name)[c * after.count + r * after.w + column];
    return {
      operation: "routed",
      groups: [{title: "window", rows: node.kernel, columns: node.kernel, x: numbers, chosen}],
      here,
      dy,
      total: here === chosen ? dy : 0,
      frame: {node: node.name, c, y: r, x: column, h: 1, w: 1},
    };
  },
};

export const avg_pool = {
  title: "Average pooling",
  text: () => `${term("average pooling", "Average pooling")}: one number for each map, its mean.`,
  formula: () => "y<sub>k</sub> = Σ<sub>r,c</sub> x<sub>k,r,c</sub> / (H · W)",
  forward(node, {c}) {
    const source = node.inputs[0],
      {count, h, w} = layout(source);
    return {
      operation: "mean",
      groups: [{title: `map ${c}`, rows: h, columns: w, x: [...value(source).subarray(c * count, (c + 1) * count)]}],
      frame: {node: source, c, y: 0, x: 0, h, w},
      code: `x[${c}].mean()`,
    };
  },
  backFormula: () => "∂L/∂x = ∂L/∂y / (H · W)",
  backCode: "dx[k] = dy[k] / (H * W)",
  backward(node, {c}) {
    const {count, h, w} = layout(node.inputs[0]),
      dy = gradient(node.name)[c];
    return {
      operation: "quotient",
      by: count,
      dy,
      total: dy / count,
      note: `each of the ${h}×${w} numbers had the same share`,
      frame: {node: node.name, c, y: 0, x: 0, h: 1, w: 1},
    };
  },
};
