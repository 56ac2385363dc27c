// Light or dark: the system's setting until the button is pressed. Canvases take their colours from here.
import {$} from "./dom.js";

const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
export const dark = () => chosen ?? system.matches;

const COLOURS = {
  light: {
    zero: [255, 255, 255],
    up: [190, 30, 45],
    down: [30, 95, 170],
    ink: [20, 24, 33],
    none: [228, 231, 237],
    frame: "#e08600",
    text: "#1b2230",
    edge: "#c3cad6",
  },
  dark: {
    zero: [23, 28, 38],
    up: [255, 112, 92],
    down: [92, 170, 255],
    ink: [240, 243, 248],
    none: [44, 51, 64],
    frame: "#ffb02e",
    text: "#e8ecf3",
    edge: "#465062",
  },
};
export const colours = () => COLOURS[dark() ? "dark" : "light"];

const mix = (from, to, share) => from.map((channel, i) => Math.round(channel + (to[i] - channel) * share));
// Zero has the colour of the paper; above and below it red and blue, faint ones still visible.
export function diverging(value, scale) {
  const {zero, up, down, none} = colours();
  if (Number.isNaN(value)) return none;
  const share = scale > 0 ? Math.min(1, Math.abs(value) / scale) ** 0.7 : 0;
  return mix(zero, value < 0 ? down : up, share);
}
export const inkTone = (value, low, high, photo) => {
  const {zero, ink} = colours();
  return mix(
    photo ? [0, 0, 0] : zero,
    photo ? [255, 255, 255] : ink,
    high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0,
  );
};
export const readable = ([r, g, b]) => {
  const linear = [r, g, b].map(channel =>
    (channel /= 255) <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
};

export function watchTheme(repaint) {
  const button = $("theme");
  const apply = () => {
    document.documentElement.style.colorScheme = chosen === null ? "" : chosen ? "dark" : "light";
    button.textContent = dark() ? "☀ Light" : "☾ Dark";
    repaint();
  };
  button.addEventListener("click", () => {
    chosen = !dark();
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
