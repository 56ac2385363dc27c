// Number formatting: a minus sign, few digits, and no 0.00 for numbers other than 0.
export function short(value, digits = 3) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−").replace("Infinity", "∞");
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) {
    const [front, power] = value.toExponential(Math.max(0, digits - 2)).split("e");
    return `${minus(front)}·10${superscript(Number(power))}`;
  }
  return minus(String(Number(value.toPrecision(digits))));
}
export const cell = value =>
  Number.isInteger(value) ? minus(String(value)) : Math.abs(value) < 0.005 ? tiny(value) : minus(value.toFixed(2));
// The common power of ten of small numbers, to write them without it.
export const commonPower = most => (most > 0 && most < 0.01 ? Math.floor(Math.log10(most)) : 0);
export const tenTo = power => `10${superscript(power)}`;
export const full = value => minus(String(Number(value.toPrecision(8))));
export const percent = share => {
  if (share > 0.99995 && share < 1) return "> 99.99 %";
  return `${(100 * share).toFixed(share > 0.9995 && share < 1 ? 2 : share < 0.0005 && share > 0 ? 2 : 1)} %`;
};
export const signed = value => (value < 0 ? `− ${short(-value)}` : `+ ${short(value)}`);
export const bracketed = value => (value < 0 ? `(${short(value)})` : short(value));
const tiny = value => (value < 0 ? "−" : "") + "0.00";
const minus = text => text.replace("-", "−");
const superscript = power => [...String(power)].map(sign => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
