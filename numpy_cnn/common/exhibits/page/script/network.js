// The network with its parameters, and a record of each training step.
import {$} from "./dom.js";

export const setup = JSON.parse($("setup").textContent);
export const nodes = Object.fromEntries(setup.nodes.map(node => [node.name, node]));
export const consumers = name => setup.nodes.filter(node => node.inputs.includes(name));
export const loss = setup.nodes.at(-1);
export const scores = loss.inputs[0];
export const photo = setup.grid === undefined; // the numbers of the input are light, not ink

export const network = {initial: {}, records: [], step: 0, error: ""};
const current = () => network.records[network.step];
export const known = () => network.records.length > 0;
export const label = () => current().label.data[0];
export const lossNow = (step = network.step) => network.records[step].loss.data[0];
export const probabilities = (step = network.step) => network.records[step].probabilities.data;

// The plane of a node: vectors are folded into rows, so that each number has a position.
export function layout(name) {
  const {shape} = nodes[name];
  if (shape.length === 3) return {channels: shape[0], h: shape[1], w: shape[2], count: shape[1] * shape[2]};
  const count = shape[0],
    w = count <= 12 ? count : Math.ceil(Math.sqrt(count));
  return {channels: 1, h: Math.ceil(count / w), w, count};
}
export const isVector = name => nodes[name].shape.length === 1;
export const flat = (name, {c, y, x}) => {
  const {count, w} = layout(name);
  return c * count + y * w + x;
};

// The number at a position, in one of the two directions.
export function array(name, direction) {
  if (name !== loss.name) return current()[`${direction === "forward" ? "value" : "gradient"}.${name}`].data;
  if (loss.kind === "softmax") return probabilities();
  return value(scores).map((score, i) => (score - (i === label())) ** 2);
}
export const value = name => array(name, "forward");
export const gradient = name => array(name, "backward");
export function difference(name, direction) {
  return current()[`difference.${direction === "forward" ? "value" : "gradient"}.${name}`]?.data;
}
export const compared = () => "difference.loss" in current();

// Parameters at a step, derived from the previous step with the roundings of float32, as in the backend.
export function parameter(name, step = network.step) {
  const own = network.records[step],
    kept = own[`parameter.${name}`];
  if (kept) return kept;
  if (step === 0 || !setup.trained.includes(name))
    return network.records[0][`parameter.${name}`] ?? network.initial[name];
  const before = parameter(name, step - 1),
    slope = slopeOf(name, step - 1),
    lr = Math.fround(setup.lr);
  const data = before.data.map((number, i) => Math.fround(number - Math.fround(lr * slope(i))));
  return (own[`parameter.${name}`] = {shape: before.shape, data});
}
export function slopeOf(name, step = network.step) {
  const own = network.records[step],
    array = own[`dparameter.${name}`];
  if (array) return i => array.data[i];
  const layer = name.replace(/\.weight$/, ""),
    x = own[`value.${nodes[layer].inputs[0]}`].data;
  const dy = own[`gradient.${layer}`].data;
  return i => Math.fround(dy[Math.floor(i / x.length)] * x[i % x.length]);
}
export const has = name => name in network.initial;
