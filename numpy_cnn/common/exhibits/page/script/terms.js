// Definitions of technical terms, shown where the terms are used.
import {$, listen} from "./dom.js";

const TERMS = {
  convolution:
    "A small grid of weights, the kernel, slides over the input. At each position, the numbers under it are multiplied by its weights and added: the sum is one number of the feature map.",
  kernel:
    "The small grid of weights of a convolution, also called a filter. It has one plane for each channel of its input.",
  channel:
    "One plane of numbers out of several that belong to the same picture: red, green and blue of a photograph, or one feature map of a layer.",
  "feature map": "The plane of numbers that one kernel computes: large where the input resembles the kernel.",
  stride:
    "How many pixels the kernel moves from one position to the next. With stride 2 every second position is skipped, and the map has half the height and width.",
  padding:
    "Rows and columns of zeros around the input, so that the kernel can also be centred on the pixels at the edge.",
  bias: "A number that a layer adds to each sum, independent of the input.",
  weight: "A number by which an input is multiplied. Training changes the weights.",
  activation: "A function applied to each number separately. Without it, two consecutive layers could be replaced by one.",
  ReLU: "Rectified linear unit: keeps positive numbers, and replaces the others by zero.",
  "max-pooling":
    "Keeps the largest number of each window. The map gets smaller, and no longer depends on exact positions.",
  "average pooling": "The mean of each channel: one number per map, independent of the position of its feature.",
  "batch norm":
    "Batch normalization: subtracts the channel's mean and divides by its standard deviation, both measured in training; then scales and shifts by two learned numbers.",
  flatten: "Writes all maps, row by row, into one vector. Nothing is computed.",
  "dense layer": "Also called linear or fully connected layer: each of its outputs is a weighted sum of all inputs.",
  score: "Also called logit: the output of the last layer for each class. The class with the highest score is the answer.",
  softmax:
    "Turns scores into probabilities: the exponential of each, divided by the sum of all of them. They are above 0 and add up to 1.",
  loss: "A number that measures how wrong the answer is. Training reduces it.",
  "cross-entropy":
    "The loss of a classifier: minus the logarithm of the probability of the right class. It is 0 if that is 1.",
  "squared error":
    "A loss: the mean of the squared differences between the scores and the targets, which are 1 for the right class and 0 for the others.",
  gradient:
    "The rate at which the loss changes when a number increases. Red: the loss would rise. Blue: it would fall.",
  "skip connection":
    "The input of a block, added to its output. The gradient flows back along it unchanged, which makes deep networks trainable.",
  "learning rate": "The size of a step: each weight changes by the learning rate times its gradient, in the opposite direction.",
  step: "One step of gradient descent: weight ← weight − learning rate × gradient, for all weights.",
  seed: "The start of the random generator. The same seed gives the same weights, and so the same numbers.",
  label: "The right answer, which the network should learn.",
};
export const term = (name, text = name) => `<button type="button" class="term" data-term="${name}">${text}</button>`;

export function watchTerms() {
  const box = $("explanation");
  let pinned = null;
  const show = button => {
    box.replaceChildren(TERMS[button.dataset.term]);
    box.hidden = false;
    const at = button.getBoundingClientRect(),
      own = box.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, innerWidth - own.width - 8));
    const above = at.bottom + own.height + 8 > innerHeight;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(above ? at.top - own.height - 6 : at.bottom + 6) + scrollY}px`;
    button.setAttribute("aria-describedby", "explanation");
  };
  const hide = () => {
    if (!pinned) box.hidden = true;
  };
  const of = event => event.target.closest?.("[data-term]");
  listen(document, "pointerover focusin", event => {
    const button = of(event);
    if (button) show(button);
  });
  listen(document, "pointerout focusout", event => {
    if (of(event)) hide();
  });
  document.addEventListener("click", event => {
    const button = of(event);
    pinned = button && pinned !== button ? button : null;
    if (pinned) show(pinned);
    else hide();
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") {
      pinned = null;
      hide();
    }
  });
}
