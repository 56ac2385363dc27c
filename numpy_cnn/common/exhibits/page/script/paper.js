// The drawing area: mouse, touch, pen, arrow keys; or a picture that is dropped, pasted or opened.
import {$, listen} from "./dom.js";
import {photo, setup} from "./network.js";

const paper = $("paper"),
  pen = paper.getContext("2d", {willReadFrequently: true});
const SIZE = paper.width,
  INK = "#141821";
let drawn = false;
export const isInked = () => drawn;

export function buildPaper(changed) {
  if (!setup.live) return;
  Object.assign(pen, {lineCap: "round", lineJoin: "round", lineWidth: SIZE / 12, strokeStyle: INK});
  let last = null;
  const place = event => {
    const box = paper.getBoundingClientRect();
    return [((event.clientX - box.left) * SIZE) / box.width, ((event.clientY - box.top) * SIZE) / box.height];
  };
  const stroke = (from, to) => {
    const [x, y] = to;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(x + 0.01, y);
    pen.stroke(); // a line of no length would not be drawn
    change(true);
  };
  const change = now => {
    drawn = now;
    $("hint").hidden = now;
    changed();
  };
  paper.addEventListener("pointerdown", event => {
    if (event.button !== 0) return;
    paper.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(last, last);
  });
  paper.addEventListener("pointermove", event => {
    if (!last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const to = place(each);
      stroke(last, to);
      last = to;
    }
  });
  listen(paper, "pointerup pointercancel", () => {
    last = null;
  });

  const clear = () => {
    pen.clearRect(0, 0, SIZE, SIZE);
    change(false);
  };
  const move = (right, down) => {
    const copy = pen.getImageData(0, 0, SIZE, SIZE),
      [, height, width] = setup.nodes[0].shape;
    pen.clearRect(0, 0, SIZE, SIZE);
    pen.putImageData(copy, (right * SIZE) / width, (down * SIZE) / height); // by one pixel of the input
    change(drawn);
  };
  $("clear").addEventListener("click", clear);
  let example = 0;
  $("example").addEventListener("click", () => {
    pen.clearRect(0, 0, SIZE, SIZE);
    pen.stroke(new Path2D(EXAMPLES[example++ % EXAMPLES.length]));
    change(true);
  });
  paper.addEventListener("keydown", event => {
    const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (by) {
      event.preventDefault();
      move(...by);
    }
    if (event.key === "Escape") clear();
    if (event.key === "Enter") $("example").click();
  });
  $("centre").addEventListener("change", changed);

  // Ink is darkness: a picture is converted to grey, with ink where it was dark.
  const open = async file => {
    try {
      const bitmap = await createImageBitmap(file),
        scale = Math.min(SIZE / bitmap.width, SIZE / bitmap.height);
      const [w, h] = [bitmap.width * scale, bitmap.height * scale];
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, SIZE, SIZE);
      pen.drawImage(bitmap, (SIZE - w) / 2, (SIZE - h) / 2, w, h);
      const image = pen.getImageData(0, 0, SIZE, SIZE),
        {data} = image;
      for (let i = 0; i < data.length; i += 4)
        data.set([20, 24, 33, 255 - (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2])], i);
      pen.putImageData(image, 0, 0);
      change(true);
    } catch {
      $("status").textContent = `${file.name || "this"} is not a picture that the browser can open: try a PNG or JPEG`;
    }
  };
  $("file").addEventListener("change", event => {
    if (event.target.files[0]) open(event.target.files[0]);
    event.target.value = "";
  });
  listen(document, "dragover", event => event.preventDefault());
  listen(document, "drop", event => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
  listen(document, "paste", event => {
    if (event.clipboardData.files[0]) open(event.clipboardData.files[0]);
  });
}

// The mean opacity of each block of points, as base64.
export function ink() {
  const {data} = pen.getImageData(0, 0, SIZE, SIZE),
    side = SIZE / setup.grid;
  let text = "";
  for (let y = 0; y < setup.grid; y++)
    for (let x = 0; x < setup.grid; x++) {
      let sum = 0;
      for (let j = 0; j < side; j++)
        for (let i = 0; i < side; i++) sum += data[4 * ((y * side + j) * SIZE + x * side + i) + 3];
      text += String.fromCharCode(Math.round(sum / side ** 2));
    }
  return btoa(text);
}

// In a saved page: the picture that the numbers belong to.
export function showPicture({shape: [, h, w], data}) {
  const image = new ImageData(w, h),
    small = new OffscreenCanvas(w, h);
  data.forEach((share, i) =>
    image.data.set([20, 24, 33, 255 * Math.min(1, Math.max(0, photo ? 1 - share : share))], 4 * i),
  );
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, SIZE, SIZE);
  $("hint").hidden = true;
}

const EXAMPLES = [
  "M145 110 H300 Q225 215 195 350 M175 225 H275",
  "M150 140 Q225 60 290 135 Q310 195 215 215 Q325 225 300 305 Q240 390 140 320",
  "M150 160 Q170 80 250 95 Q320 130 250 220 L145 335 H310",
  "M290 100 H175 L165 200 Q260 170 290 250 Q290 360 150 325",
  "M240 95 Q130 100 140 230 Q150 350 235 345 Q320 330 310 220 Q300 95 225 97",
];
