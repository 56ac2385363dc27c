// The selection: a node, a direction, a position. Views are repainted when it changes.
import {array, layout, loss, setup} from "./network.js";

export const state = {node: setup.nodes[1].name, direction: "forward", c: 0, y: 0, x: 0};
const views = [];
export const onChange = view => views.push(view);
// A view that is painted only if a value that it watches has changed.
export const watching = (view, watch) => {
  let last = [];
  return () => {
    const now = watch();
    if (now.every((value, i) => value === last[i])) return;
    last = now;
    view();
  };
};
export const refresh = () => views.forEach(view => view());

export function look(change) {
  Object.assign(state, change);
  if (state.node === loss.name) state.direction = "forward";
  const {channels, h, w, count} = layout(state.node);
  const clamp = (number, most) => Math.max(0, Math.min(most - 1, number));
  state.c = clamp(state.c, channels);
  state.y = clamp(state.y, h);
  state.x = clamp(state.x, w);
  if (state.y * w + state.x >= count) state.x = (count - 1) % w;
  refresh();
}

// The position of the largest number of the layer, which shows most.
export function lookAtLargest() {
  const numbers = array(state.node, state.direction),
    {count, w} = layout(state.node);
  const i = numbers.reduce((best, number, n) => (Math.abs(number) > Math.abs(numbers[best]) ? n : best), 0);
  look({c: Math.floor(i / count), y: Math.floor((i % count) / w), x: (i % count) % w});
}

// Forward through the layers to the loss, then backward to the picture.
export const tour = [
  ...setup.nodes.map(node => [node.name, "forward"]),
  ...setup.nodes
    .slice(0, -1)
    .reverse()
    .map(node => [node.name, "backward"]),
];
export const stop = () => tour.findIndex(([name, direction]) => name === state.node && direction === state.direction);
export const goTo = index => {
  const [node, direction] = tour[Math.max(0, Math.min(tour.length - 1, index))];
  const {h, w} = layout(state.node),
    next = layout(node);
  // The same part of the picture, in a map of another size.
  const scaled =
    h > 1 && next.h > 1 ? {y: Math.round((state.y * next.h) / h), x: Math.round((state.x * next.w) / w)} : {};
  look({node, direction, ...scaled});
};
