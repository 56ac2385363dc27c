// A few steps of training on this picture, and back.
import {ask, train, wish} from "./client.js";
import {$, make} from "./dom.js";
import {known, label, loss, lossNow, network, probabilities, setup} from "./network.js";
import {percent, short} from "./numbers.js";
import {onChange, refresh, watching} from "./state.js";

export function buildTraining() {
  const choice = $("label");
  choice.append(
    make("option", {value: ""}, "its own answer"),
    ...Array.from({length: setup.classes}, (_, i) => make("option", {value: String(i)}, String(i))),
  );
  choice.addEventListener("change", () => {
    wish.label = choice.value === "" ? null : Number(choice.value);
    ask();
  });
  $("lr").value = setup.lr;
  $("lr").addEventListener("change", event => {
    const lr = Number(event.target.value);
    if (lr > 0 && lr <= 100) setup.lr = lr;
    event.target.value = setup.lr;
    network.records.length = Math.min(1, network.records.length); // the steps that were taken had another size
    network.step = 0;
    refresh();
  });
  const start = () => {
    const random = $("start").value === "random",
      seed = Number($("seed").value);
    $("seed-box").hidden = !random;
    wish.seed = random ? (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32 ? seed : 0) : null;
    if (random) $("seed").value = wish.seed;
    ask();
  };
  $("start").addEventListener("change", start);
  $("seed").addEventListener("change", start);
  $("train-1").addEventListener("click", () => train(1));
  $("train-5").addEventListener("click", () => train(5));
  $("rewind").addEventListener("click", () => {
    network.step = 0;
    refresh();
  });
  $("steps").addEventListener("input", event => {
    network.step = Number(event.target.value);
    refresh();
  });
  onChange(watching(paintTraining, () => [network.records.length, network.records[network.step], network.step]));
}

function paintTraining() {
  const steps = $("steps"),
    most = network.records.length - 1;
  for (const name of ["train-1", "train-5"]) $(name).disabled = !setup.live || !known() || network.step >= 50;
  $("rewind").disabled = network.step === 0;
  steps.max = Math.max(0, most);
  steps.value = network.step;
  steps.disabled = most < 1;
  $("chart").replaceChildren();
  if (!known()) {
    $("progress").textContent = "";
    return;
  }
  const p = probabilities(),
    best = p.indexOf(Math.max(...p)),
    right = label();
  $("progress").innerHTML =
    `After <b>${network.step}</b> steps: loss <b>${short(lossNow(), 4)}</b>, probability of ${right}: <b>${percent(p[right])}</b>, answer <b>${best}</b>${best === right ? ", right" : ", wrong"}.`;
  chart(network.records.map((_, step) => lossNow(step)));
}

function chart(losses) {
  const svg = $("chart"),
    [w, h, left, top] = [300, 110, 44, 8],
    high = Math.max(...losses) || 1;
  const x = i => left + (w - left - 10) * (losses.length > 1 ? i / (losses.length - 1) : 0),
    y = number => top + (h - top - 24) * (1 - number / high);
  const points = losses.map((number, i) => `${x(i)},${y(number)}`);
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  svg.setAttribute("aria-label", `Loss by step: ${losses.map(number => short(number)).join(", ")}`);
  svg.innerHTML =
    `<path class="axis" d="M${left},${top}V${h - 24}H${w - 10}"/><polyline class="loss" points="${points.join(" ")}"/>` +
    losses
      .map(
        (number, i) =>
          `<circle class="${i === network.step ? "now" : ""}" cx="${x(i)}" cy="${y(number)}" r="${i === network.step ? 5 : 3}"/>`,
      )
      .join("") +
    `<text x="${left - 6}" y="${top + 8}" text-anchor="end">${short(high, 2)}</text><text x="${left - 6}" y="${h - 24}" text-anchor="end">0</text><text x="${w - 10}" y="${h - 8}" text-anchor="end">step ${losses.length - 1}</text><text x="${left}" y="${h - 8}">loss</text>`;
}
