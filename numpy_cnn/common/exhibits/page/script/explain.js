// The terms of a number: in the forward pass from the layer's inputs, in the backward pass from the layers that used it.
import {largest} from "./arrays.js";
import {conv} from "./conv.js";
import {activation, add, batch_norm, flatten} from "./elementwise.js";
import {input, mse, softmax} from "./ends.js";
import {weightSlope} from "./kernel.js";
import {linear} from "./linear.js";
import {array, consumers, flat, layout, network, nodes, setup} from "./network.js";
import {avg_pool, max_pool} from "./pooling.js";

const KINDS = {input, conv, batch_norm, activation, max_pool, avg_pool, flatten, linear, add, softmax, mse};
export const kindOf = name => KINDS[nodes[name].kind];
export const titleOf = name => {
  const {title} = kindOf(name);
  return typeof title === "string" ? title : title(nodes[name]);
};

const sum = numbers => numbers.reduce((a, b) => a + b, 0);
function finished(part) {
  for (const group of part.groups ?? [])
    if (group.w) group.terms = group.x.map((number, i) => (group.w[i] && number ? number * group.w[i] : 0));
  if (part.operation === "sum") {
    for (const group of part.groups) group.sum = sum(group.terms);
    part.total = sum(part.groups.map(group => group.sum)) + (part.bias ?? 0);
  }
  if (part.operation === "max") part.total = part.groups[0].x[part.groups[0].chosen];
  if (part.operation === "mean") part.total = sum(part.groups[0].x) / part.groups[0].x.length;
  return part;
}

// {value, parts}: the number and the parts of which it is the sum; each part has the layer that computed it.
export function explain(name, direction, place) {
  const node = nodes[name],
    own = array(name, direction)[flat(name, place)];
  if (direction === "forward")
    return {value: own, parts: [{layer: node, ...finished(kindOf(name).forward(node, place))}]};
  const parts = consumers(name).flatMap(user => {
    const times = user.inputs.filter(source => source === name).length;
    return Array.from({length: times}, () => ({layer: user, ...finished(kindOf(user.name).backward(user, place))}));
  });
  return {value: own, parts};
}

// The largest relative error of the explanations, over some numbers of every layer in both directions: for tests.
export function check(samples = 5) {
  let worst = {error: 0};
  for (const {name} of setup.nodes)
    for (const direction of ["forward", "backward"]) {
      const {channels, count, w} = layout(name);
      if (direction === "backward" && consumers(name).length === 0) continue;
      const scale = array(name, direction).reduce((most, number) => Math.max(most, Math.abs(number)), 0) || 1;
      for (let n = 0; n < samples; n++) {
        const i = Math.floor(((n + 0.5) * channels * count) / samples),
          within = i % count;
        const place = {c: Math.floor(i / count), y: Math.floor(within / w), x: within % w};
        const {value, parts} = explain(name, direction, place);
        const error = Math.abs(sum(parts.map(part => part.total)) - value) / scale;
        if (!(error <= worst.error)) worst = {error, name, direction, place};
      }
    }
  for (const node of setup.nodes.filter(one => one.kind === "conv")) {
    const slopes = network.records[network.step][`dparameter.${node.name}.weight`].data,
      each = node.kernel ** 2,
      {channels} = layout(node.inputs[0]);
    const scale = largest(slopes) || 1;
    for (let n = 0; n < samples; n++) {
      const i = Math.floor(((n + 0.5) * slopes.length) / samples),
        k = Math.floor(i / each);
      const error =
        Math.abs(weightSlope(node, Math.floor(k / channels), k % channels, i % each).sum - slopes[i]) / scale;
      if (!(error <= worst.error)) worst = {error, name: `${node.name}.weight`, i};
    }
  }
  return worst;
}
