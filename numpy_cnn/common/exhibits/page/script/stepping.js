// Through the network step by step: forward to the loss, and backward to the picture.
import {$} from "./dom.js";
import {known, layout, loss} from "./network.js";
import {goTo, look, onChange, state, stop, tour} from "./state.js";

let timer = null;
export function buildStepping() {
  $("tour").max = tour.length - 1;
  $("tour").addEventListener("input", event => goTo(Number(event.target.value)));
  $("previous").addEventListener("click", () => goTo(stop() - 1));
  $("next").addEventListener("click", () => goTo(stop() + 1));
  $("play").addEventListener("click", () => (timer ? halt() : run()));
  onChange(() => {
    const at = stop(),
      where = state.node === loss.name ? "loss" : state.node;
    $("tour").value = at;
    $("tour").setAttribute("aria-valuetext", `${where}, ${state.direction}`);
    $("where").textContent = `${at + 1} of ${tour.length}: ${where}, ${state.direction}`;
    $("previous").disabled = at === 0;
    $("next").disabled = at === tour.length - 1;
  });
}

// The path of the kernel over the map: row by row, to the last position.
function run() {
  $("play").textContent = "❚❚ Stop";
  timer = setInterval(() => {
    const {w, count, h} = layout(state.node),
      i = state.y * w + state.x + 1;
    if (!known() || i >= count) {
      halt();
      return;
    }
    look({y: Math.floor(i / w) % h, x: i % w});
  }, 140);
}
function halt() {
  clearInterval(timer);
  timer = null;
  $("play").textContent = "▶ Slide over the map";
}
