// Requests to the server: one at a time, and then only the newest.
import {parse} from "./arrays.js";
import {$} from "./dom.js";
import {network, setup} from "./network.js";
import {ink, isInked} from "./paper.js";
import {lookAtLargest, refresh} from "./state.js";

export const wish = {label: null, seed: null}; // null: the network's own answer, the checkpoint's parameters
const question = steps => JSON.stringify({ink: ink(), centre: $("centre").checked, ...wish, lr: setup.lr, steps});
const post = (path, steps) =>
  fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: question(steps)});

export const say = (text, bad = false) => {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
};

async function fetchRecord(steps) {
  let response;
  try {
    response = await post("look", steps);
  } catch {
    throw new Error("the server does not answer any more: start the demo again");
  }
  if (!response.ok) throw new Error((await response.text()).trim());
  const {arrays, error} = parse(await response.arrayBuffer());
  say(error, Boolean(error));
  return arrays;
}

let asking = false,
  again = false,
  first = true;
export const busy = () => asking || again;
export async function ask() {
  if (!setup.live) return;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  do {
    again = false;
    await new Promise(requestAnimationFrame);
    try {
      network.records = isInked() ? [await fetchRecord(0)] : [];
      if (!isInked()) say("");
    } catch (error) {
      network.records = [];
      say(error.message, true);
    }
    network.step = 0;
    if (first && network.records.length) {
      first = false;
      lookAtLargest();
    } else refresh();
  } while (again);
  asking = false;
}

export async function train(steps) {
  if (asking || !network.records.length) return;
  asking = true;
  try {
    for (let n = 0; n < steps && !again; n++) {
      network.records.length = network.step + 1;
      const next = await fetchRecord(network.step + 1);
      if (again) break;
      network.records.push(next);
      network.step += 1;
      refresh();
    }
  } catch (error) {
    say(error.message, true);
  }
  asking = false;
  if (again) ask();
}

export async function save() {
  const response = await post("save", network.step);
  if (!response.ok) {
    say((await response.text()).trim(), true);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = "network.html";
  link.click();
  URL.revokeObjectURL(link.href);
}
