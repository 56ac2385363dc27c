// The page: data first, then the views, then the first picture.
import {largest, unpack} from "./arrays.js";
import {ask, busy, save, say, train} from "./client.js";
import {buildDetail} from "./detail.js";
import {$, make} from "./dom.js";
import {check, explain} from "./explain.js";
import {known, label, lossNow, network, nodes, parameter, probabilities, setup} from "./network.js";
import {percent, short} from "./numbers.js";
import {buildOverview} from "./overview.js";
import {buildPaper, ink, showPicture} from "./paper.js";
import {buildPlayground} from "./playground.js";
import {look, lookAtLargest, onChange, refresh, state, watching} from "./state.js";
import {buildStepping} from "./stepping.js";
import {term, watchTerms} from "./terms.js";
import {watchTheme} from "./theme.js";
import {buildTraining} from "./training.js";

function paintAnswer() {
  const box = $("answer");
  document.body.dataset.state = known() ? "shown" : "empty";
  if (!known()) {
    box.replaceChildren("its answer appears here");
    $("sure").textContent = "";
    return;
  }
  const shares = probabilities(),
    best = shares.indexOf(Math.max(...shares));
  box.replaceChildren(make("b", {}, String(best)));
  $("sure").textContent = `${percent(shares[best])}${shares[best] < 0.8 ? ", not sure" : ""}`;
  if (!setup.backends[1]) return;
  const apart = Object.entries(network.records[network.step]).filter(([name]) => name.startsWith("difference.value."));
  const most = Math.max(0, ...apart.map(([, array]) => largest(array.data)));
  $("agreement").textContent = apart.length
    ? `${setup.backends.join(" and ")} differ by ${most ? `at most ${short(most, 2)}` : "nothing"} in all numbers of all layers.`
    : "";
}

for (const element of document.querySelectorAll("[data-explain]"))
  element.innerHTML = term(element.dataset.explain, element.textContent);
$("name").textContent = setup.name;
$("size").textContent = `${setup.parameters.toLocaleString("en")} parameters`;
if (setup.note) {
  $("note").textContent = setup.note;
  $("note").hidden = false;
}
document.body.classList.toggle("saved", !setup.live);
for (const element of document.querySelectorAll(".live button, .live input, .live select"))
  element.disabled = !setup.live;
for (const element of document.querySelectorAll(".needs-server")) element.hidden = setup.live;

const [initial, ...records] = await Promise.all(JSON.parse($("arrays").textContent).map(unpack));
network.initial = initial;
network.records = records;
buildOverview();
buildDetail();
buildStepping();
buildTraining();
buildPlayground();
buildPaper(ask);
onChange(watching(paintAnswer, () => [network.records[network.step]]));
watchTerms();
$("save").addEventListener("click", save);
if (records.length) {
  showPicture(records[0].picture);
  lookAtLargest();
}
watchTheme(refresh);
if (setup.live) $("example").click();
// For tests, and for use in the browser's console.
globalThis.cnn = {
  ask,
  busy,
  check,
  explain,
  ink,
  label,
  look,
  lossNow,
  network,
  nodes,
  parameter,
  probabilities,
  refresh,
  say,
  setup,
  state,
  train,
};
document.body.dataset.ready = "yes";
