// The document: find and create elements.
export const $ = id => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "html")
      element.innerHTML = value; // written in this script, never by a user
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const listen = (target, names, handler) => {
  for (const name of names.split(" ")) target.addEventListener(name, handler);
};
