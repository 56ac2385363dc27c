// The terms that add up to one number, as grids, equations and text.
import {make} from "./dom.js";
import {cell, commonPower, full, percent, short, signed, tenTo} from "./numbers.js";
import {paint, scaleOf} from "./paint.js";
import {diverging, readable} from "./theme.js";

const FEW = 4,
  WRITTEN = 49; // groups that are shown at once; cells of a grid that are written out

export function calculation({value, parts}, direction) {
  const elements = parts.flatMap(part => [
    ...(parts.length > 1 ? [make("h4", {}, `by ${part.layer.name}: ${short(part.total)}`)] : []),
    ...partOf(part),
    ...(direction === "forward" && part.code
      ? [
          make(
            "pre",
            {class: "code", tabindex: "0", "aria-label": "the same in code"},
            `${part.code}   # ${full(value)}`,
          ),
        ]
      : []),
  ]);
  if (parts.length > 1)
    elements.push(
      make("p", {class: "equation"}, `together: ${parts.map(part => short(part.total)).join(" + ")} = ${short(value)}`),
    );
  return elements;
}

function partOf(part) {
  if (part.operation === "sum") return sumOf(part);
  if (part.operation === "softmax") return softmaxOf(part);
  if (part.operation === "lines") return part.lines.map(html => make("p", {class: "equation", html}));
  if (part.operation === "quotient")
    return [
      make("p", {class: "equation", html: `${short(part.dy)} / ${part.by} = <b>${short(part.total)}</b>`}),
      make("p", {class: "note"}, part.note),
    ];
  const [group] = part.groups,
    marked = {chosen: group.chosen, here: part.here};
  if (part.operation === "mean")
    return [
      picture(group, group.x, "the map"),
      make("p", {
        class: "equation",
        html: `sum of ${group.x.length} numbers / ${group.x.length} = <b>${short(part.total)}</b>`,
      }),
    ];
  const line =
    part.operation === "max"
      ? `the largest: <b>${short(part.total)}</b>`
      : part.here === group.chosen
        ? `this number was the largest of its window, so the whole gradient comes here: <b>${short(part.dy)}</b>`
        : "another number of the window was the largest and gets the whole gradient; here it is <b>0</b>";
  return [grid(group, group.x, marked), make("p", {class: "equation", html: line})];
}

function sumOf({groups, bias, names, total}) {
  const ranked = [...groups].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)),
    many = ranked.length > FEW;
  const terms = groups.reduce((all, group) => all + group.terms.length, 0);
  const list = make("div", {class: "groups"}),
    show = count => list.replaceChildren(...ranked.slice(0, count).map(group => products(group, names)));
  show(FEW);
  const elements = [list];
  if (many) {
    const button = make("button", {type: "button", class: "more"}, `show all ${ranked.length}`);
    button.addEventListener("click", () => {
      show(Infinity);
      button.remove();
    });
    elements.push(make("p", {class: "note"}, `The ${FEW} of ${ranked.length} with the largest sums. `, button));
  }
  if (groups[0].terms.length > WRITTEN) elements.push(topTerms(groups, names));
  const others = ranked.slice(FEW).reduce((all, group) => all + group.sum, 0);
  const parts = ranked
    .slice(0, FEW)
    .map((group, i) => (i ? signed(group.sum) : short(group.sum)))
    .join(" ");
  const rest = many ? ` ${signed(others)} <small>(${ranked.length - FEW} more)</small>` : "",
    added = bias === null ? "" : ` ${signed(bias)} <small>(bias)</small>`;
  const alone = ranked.length === 1 && bias === null;
  elements.push(
    make("p", {
      class: "equation",
      html: alone
        ? `the ${terms} products add up to <b>${short(total)}</b>`
        : `${parts}${rest}${added} = <b>${short(total)}</b>`,
    }),
  );
  if (!alone) elements.push(make("p", {class: "note"}, `${terms} products in all.`));
  return elements;
}

export function products(group, names) {
  const small = group.x.length <= WRITTEN,
    box = make("div", {class: `group ${small ? "small" : "large"}`});
  const status = make("output", {class: "product"}, `${group.title}: ${short(group.sum)}`);
  const draw = small ? grid : picture,
    first = draw(group, group.x, names[0]),
    second = draw(group, group.w, names[1]);
  const sets = small
    ? [first, make("span", {class: "sign"}, "×"), second]
    : [
        first,
        make("span", {class: "sign"}, "×"),
        second,
        make("span", {class: "sign"}, "="),
        picture(group, group.terms, "products"),
      ];
  const point = i => {
    box.querySelectorAll(".here").forEach(one => one.classList.remove("here"));
    if (i === null || !(i < group.x.length)) {
      status.textContent = `${group.title}: ${short(group.sum)}`;
      return;
    }
    box.querySelectorAll(`[data-i="${i}"]`).forEach(one => one.classList.add("here"));
    status.textContent = `${short(group.x[i])} × ${short(group.w[i])} = ${short(group.terms[i])}`;
  };
  box.addEventListener("pointermove", event => {
    const one = event.target.closest("[data-i]"),
      canvas = event.target.closest("canvas");
    if (one) point(Number(one.dataset.i));
    else if (canvas) {
      const own = canvas.getBoundingClientRect();
      point(
        Math.floor(((event.clientY - own.top) / own.height) * group.rows) * group.columns +
          Math.floor(((event.clientX - own.left) / own.width) * group.columns),
      );
    }
  });
  box.addEventListener("pointerleave", () => point(null));
  box.append(make("div", {class: "factors"}, ...sets), status);
  return box;
}

// A few numbers, written out.
export function grid(group, numbers, what) {
  const most = numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
    marked = typeof what === "object" ? what : {};
  const box = make("div", {
    class: "grid",
    role: "img",
    "aria-label": `${typeof what === "string" ? what : group.title}: ${numbers.map(number => short(number)).join(", ")}`,
  });
  const power = commonPower(most),
    unit = power ? `, in ${tenTo(power)}` : "";
  box.style.setProperty("--columns", group.columns);
  numbers.forEach((number, i) => {
    const rgb = diverging(number, most),
      one = make(
        "span",
        {"data-i": String(i), class: i === marked.chosen ? "chosen" : i === marked.here ? "asked" : ""},
        cell(number / 10 ** power),
      );
    one.style.background = `rgb(${rgb})`;
    one.style.color = readable(rgb);
    box.append(one);
  });
  return make("figure", {}, box, make("figcaption", {}, `${typeof what === "string" ? what : group.title}${unit}`));
}

// Many numbers, as colours.
export function picture(group, numbers, what) {
  const canvas = make("canvas", {role: "img", "aria-label": `${what}, ${group.rows} by ${group.columns}`});
  paint(canvas, {h: group.rows, w: group.columns, numbers}, scaleOf(numbers, false), {side: 96});
  canvas.style.aspectRatio = `${group.columns} / ${group.rows}`;
  return make("figure", {}, canvas, make("figcaption", {}, what));
}

function topTerms(groups, names) {
  const all = groups.flatMap(group =>
    group.terms.map((product, i) => ({product, x: group.x[i], w: group.w[i], at: group.first + i})),
  );
  const rows = all
    .sort((a, b) => Math.abs(b.product) - Math.abs(a.product))
    .slice(0, 5)
    .map(({product, x, w, at}) =>
      make(
        "tr",
        {},
        make("th", {scope: "row"}, String(at)),
        make("td", {}, short(x)),
        make("td", {}, short(w)),
        make("td", {}, short(product)),
      ),
    );
  const head = make("tr", {}, ...["number", ...names, "product"].map(name => make("th", {scope: "col"}, name)));
  return make(
    "table",
    {class: "top"},
    make("caption", {}, "The five largest products"),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
}

function softmaxOf({z, powers, sum, i, total, note}) {
  const rows = Array.from(z, (score, n) =>
    make(
      "tr",
      {class: n === i ? "asked" : ""},
      make("th", {scope: "row"}, String(n)),
      make("td", {}, short(score)),
      make("td", {}, short(powers[n])),
      make("td", {}, percent(powers[n] / sum)),
    ),
  );
  const head = make(
    "tr",
    {},
    make("th", {scope: "col"}, "class"),
    make("th", {scope: "col"}, "score z"),
    make("th", {scope: "col", html: "e<sup>z − max</sup>"}),
    make("th", {scope: "col"}, "probability"),
  );
  return [
    make(
      "div",
      {class: "scroll", tabindex: "0", role: "region", "aria-label": "Softmax, class by class"},
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)),
    ),
    make("p", {class: "equation", html: `${short(powers[i])} / ${short(sum)} = <b>${percent(total)}</b>`}),
    make("p", {class: "equation", html: note}),
  ];
}
