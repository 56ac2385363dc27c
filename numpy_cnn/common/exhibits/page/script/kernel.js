// The gradient of a kernel's weights: each weight was used at every position, so each position contributes.
import {grid, products} from "./calculation.js";
import {make} from "./dom.js";
import {gradient, layout, network, parameter, value} from "./network.js";
import {full, short} from "./numbers.js";

const own = (node, data, o, k) => [
  ...data.subarray(
    (o * layout(node.inputs[0]).channels + k) * node.kernel ** 2,
    (o * layout(node.inputs[0]).channels + k + 1) * node.kernel ** 2,
  ),
];

// For the weight (i, j) of channel k in the kernel of map o: the sum of gradient × input over all positions.
export function weightSlope(node, o, k, n) {
  const after = layout(node.name),
    before = layout(node.inputs[0]),
    x = value(node.inputs[0]),
    i = Math.floor(n / node.kernel),
    j = n % node.kernel;
  const group = {
    title: `all ${after.count} places`,
    rows: after.h,
    columns: after.w,
    x: [...gradient(node.name).subarray(o * after.count, (o + 1) * after.count)],
    w: [],
  };
  for (let r = 0; r < after.h; r++)
    for (let c = 0; c < after.w; c++) {
      const y = r * node.stride + i - node.padding[0],
        z = c * node.stride + j - node.padding[1];
      group.w.push(y >= 0 && y < before.h && z >= 0 && z < before.w ? x[k * before.count + y * before.w + z] : 0);
    }
  group.terms = group.x.map((number, at) => (number && group.w[at] ? number * group.w[at] : 0));
  group.sum = group.terms.reduce((a, b) => a + b);
  return group;
}

export function kernelGradient(node, o) {
  const slopes = network.records[network.step][`dparameter.${node.name}.weight`].data,
    weights = parameter(`${node.name}.weight`).data;
  const size = k => own(node, slopes, o, k).reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
  const {channels} = layout(node.inputs[0]),
    k = Array.from({length: channels}, (_, c) => c).reduce((best, c) => (size(c) > size(best) ? c : best), 0);
  const of = own(node, slopes, o, k),
    shape = {rows: node.kernel, columns: node.kernel, title: ""},
    below = make("div");
  const slider = make("input", {
    type: "range",
    min: "0",
    max: String(of.length - 1),
    "aria-label": "weight of the kernel",
  });
  const point = n => {
    const group = weightSlope(node, o, k, n);
    slider.value = n;
    slider.setAttribute("aria-valuetext", `weight ${n}: ${short(of[n])}`);
    box.querySelectorAll("[data-i]").forEach(one => one.classList.toggle("here", Number(one.dataset.i) === n));
    below.replaceChildren(
      products(group, ["gradient", "input there"]),
      make("p", {
        class: "equation",
        html: `∂L/∂w of weight ${n} = <b>${full(of[n])}</b>, the sum of ${group.terms.length} products`,
      }),
    );
  };
  const box = make(
    "div",
    {class: "factors"},
    grid({...shape, title: "kernel"}, own(node, weights, o, k), "kernel"),
    grid({...shape, title: "gradient"}, of, "its gradient"),
  );
  box.addEventListener("pointermove", event => {
    const one = event.target.closest("[data-i]");
    if (one) point(Number(one.dataset.i));
  });
  slider.addEventListener("input", () => point(Number(slider.value)));
  point(of.reduce((best, slope, n) => (Math.abs(slope) > Math.abs(of[best]) ? n : best), 0));
  return [
    make("h4", {}, `The kernel of map ${o}${channels > 1 ? `, channel ${k}` : ""}: the gradient of its weights`),
    make("p", {
      class: "math",
      html: "∂L/∂w<sub>o,k,i,j</sub> = Σ<sub>r,c</sub> ∂L/∂y<sub>o,r,c</sub> · x<sub>k,r+i,c+j</sub>",
    }),
    box,
    make("div", {class: "slider"}, make("span", {}, "weight"), slider),
    below,
  ];
}
