// Both ends of the network: the picture, and the loss.
import {flat, label, layout, loss, lossNow, nodes, probabilities, scores, value} from "./network.js";
import {percent, short} from "./numbers.js";
import {term} from "./terms.js";

export const input = {
  title: "Input",
  text: node =>
    `The picture as the network gets it: ${node.shape[0]} ${term("channel")} of ${node.shape[1]}×${node.shape[2]} numbers, scaled as in training. These numbers are not computed from others.`,
  formula: () => "x = (pixel − mean) / standard deviation",
  forward: (node, place) => ({
    operation: "lines",
    lines: [`pixel: <b>${short(value(node.name)[flat(node.name, place)])}</b>`],
    total: value(node.name)[flat(node.name, place)],
    code: `x[${place.c}, ${place.y}, ${place.x}]`,
  }),
};

export const softmax = {
  title: "Softmax and loss",
  text: () => `${term("softmax", "Softmax")} turns the ${term("score", "scores")} into probabilities. The ${term("loss")} is their ${term("cross-entropy")}:
    small if the right class, the ${term("label")}, has a high probability.`,
  formula: () =>
    "p<sub>i</sub> = e<sup>z<sub>i</sub></sup> / Σ<sub>j</sub> e<sup>z<sub>j</sub></sup> &nbsp; L = −log p<sub>label</sub>",
  forward(node, {x: i}) {
    const z = value(scores),
      top = Math.max(...z),
      powers = Array.from(z, score => Math.exp(score - top));
    const sum = powers.reduce((a, b) => a + b),
      right = label();
    return {
      operation: "softmax",
      frame: {node: scores, c: 0, y: 0, x: 0, h: 1, w: z.length},
      z,
      powers,
      sum,
      i,
      total: powers[i] / sum,
      code: `np.exp(z[${i}] - z.max()) / np.exp(z - z.max()).sum()`,
      note: `L = −log p<sub>${right}</sub> = −log ${short(probabilities()[right], 4)} = <b>${short(lossNow(), 4)}</b>`,
    };
  },
  backFormula: () => "∂L/∂z<sub>i</sub> = p<sub>i</sub> − 1 for the right class, p<sub>i</sub> for the others",
  backCode: "dz = softmax(z); dz[label] -= 1",
  backward(node, {x: i}) {
    const p = probabilities()[i],
      right = i === label(),
      total = p - right;
    return {
      operation: "lines",
      total,
      frame: {node: node.name, c: 0, y: 0, x: i, h: 1, w: 1},
      lines: [
        `p<sub>${i}</sub> ${right ? "− 1, because " + i + " is the right class" : "(not the right class)"}: <b>${short(total)}</b>`,
      ],
    };
  },
};

export const mse = {
  title: "Squared error",
  text: () =>
    `The ${term("loss")} is the ${term("squared error")}: how far the ${term("score", "scores")} are from 1 for the right class, the ${term("label")}, and from 0 for the others.`,
  formula: () => "L = Σ<sub>i</sub> (z<sub>i</sub> − t<sub>i</sub>)² / n",
  forward(node, {x: i}) {
    const z = value(scores)[i],
      target = Number(i === label()),
      total = (z - target) ** 2;
    return {
      operation: "lines",
      total,
      code: `(z[${i}] - ${target}) ** 2`,
      lines: [
        `(${short(z)} − ${target})² = <b>${short(total)}</b>`,
        `L = the mean of these = <b>${short(lossNow(), 4)}</b>`,
      ],
    };
  },
  backFormula: () => "∂L/∂z<sub>i</sub> = 2 (z<sub>i</sub> − t<sub>i</sub>) / n",
  backCode: "dz = 2 * (z - target) / n",
  backward(node, {x: i}) {
    const z = value(scores),
      target = Number(i === label()),
      total = (2 * (z[i] - target)) / z.length;
    return {
      operation: "lines",
      total,
      frame: {node: node.name, c: 0, y: 0, x: i, h: 1, w: 1},
      lines: [`2 · (${short(z[i])} − ${target}) / ${z.length} = <b>${short(total)}</b>`],
    };
  },
};
