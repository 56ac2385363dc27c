// Dense layer: one sum of products over all inputs.
import {gradient, isVector, layout, nodes, parameter, value} from "./network.js";
import {term} from "./terms.js";

// After flatten, the inputs are shown as maps again.
function planes(name) {
  const node = nodes[name];
  const source = node.kind === "flatten" && !isVector(node.inputs[0]) ? node.inputs[0] : name;
  const {channels, h, w, count} = layout(source);
  return {channels, h, w, count, source};
}

const whole = name => ({node: name, c: 0, y: 0, x: 0, h: layout(name).h, w: layout(name).w});

export const linear = {
  title: "Dense layer",
  text: node => `${term("dense layer", "A dense layer")}: each output has its own ${term("weight")} for each of the ${nodes[node.inputs[0]].shape[0]} inputs.
    It multiplies, adds up, and adds its ${term("bias")}.`,
  formula: () => "y<sub>o</sub> = b<sub>o</sub> + Σ<sub>i</sub> x<sub>i</sub> · w<sub>o,i</sub>",
  forward(node, place) {
    const o = place.y * layout(node.name).w + place.x,
      source = node.inputs[0],
      input = value(source);
    const weight = parameter(`${node.name}.weight`).data,
      offset = o * input.length,
      {channels, h, w, count} = planes(source);
    const groups = Array.from({length: channels}, (_, c) => {
      const from = c * count,
        to = Math.min(from + count, input.length);
      return {
        title: channels > 1 ? `map ${c}` : "all inputs",
        rows: h,
        columns: w,
        x: [...input.subarray(from, to)],
        w: [...weight.subarray(offset + from, offset + to)],
        first: from,
      };
    });
    return {
      operation: "sum",
      groups,
      bias: parameter(`${node.name}.bias`).data[o],
      names: ["input", "weights"],
      frame: whole(source),
      code: `(x * weight[${o}]).sum() + bias[${o}]`,
    };
  },
  backFormula: () => "∂L/∂x<sub>i</sub> = Σ<sub>o</sub> ∂L/∂y<sub>o</sub> · w<sub>o,i</sub>",
  backCode: "dx = dy @ weight",
  backward(node, place) {
    const i = place.y * layout(node.inputs[0]).w + place.x,
      dy = gradient(node.name),
      {data, shape} = parameter(`${node.name}.weight`);
    const {h, w} = layout(node.name);
    return {
      operation: "sum",
      bias: null,
      names: ["gradient there", "weights"],
      frame: whole(node.name),
      groups: [
        {
          title: "all outputs",
          rows: h,
          columns: w,
          x: [...dy],
          w: Array.from(dy, (_, o) => data[o * shape[1] + i]),
          first: 0,
        },
      ],
    };
  },
};
