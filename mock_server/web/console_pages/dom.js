// Elements, tables and errors. What comes from the mock becomes text nodes and attributes, never markup.

/** Rows that a table shows before somebody asks for more. */
export const AT_ONCE = 200;

/** Make an element; `on…` properties are listeners, others attributes; texts among the children stay texts. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** Make a button that does something; see `act`. */
export function button(text, action, properties = {}) {
  const made = h("button", { type: "button", ...properties }, text);
  made.addEventListener("click", () => act(made, action));
  return made;
}

/** Make a remark. */
export function note(text) {
  return h("p", { class: "dim" }, text);
}

/** Make a labelled field. */
export function field(label, input, hint = "") {
  return h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, hint));
}

/** Run something; an error is reported right behind the element that it belongs to. */
export async function attempt(element, action) {
  tell(element, "");
  try {
    await action();
  } catch (error) {
    tell(element, error.message);
  }
}

/** Run what a control is for, once at a time; an error is reported right behind the control. */
export async function act(element, action) {
  if (element.getAttribute("aria-busy") === "true") return;
  const section = element.closest("section");
  element.setAttribute("aria-busy", "true");
  await attempt(element.closest("form, .buttons") ?? element, action);
  element.removeAttribute("aria-busy");
  // A row that goes takes the focus with it.
  if (!element.isConnected && document.activeElement === document.body) section?.querySelector("h2").focus();
}

function tell(place, text) {
  if (place.nextElementSibling?.matches(".problem")) place.nextElementSibling.remove();
  if (text) place.after(h("p", { class: "problem", role: "alert" }, text));
}

/** Write a JSON value for people; a text stands for a body that is not shown. */
export function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Make a block of code that can be scrolled by keyboard. */
export function code(text, label) {
  return h("pre", { class: "code-block", tabindex: "0", role: "region", "aria-label": label }, text);
}

/** Make a button that copies a text, which `block` shows. */
export function copying(block, text) {
  const copied = h("span", { class: "dim", role: "status" });
  const copy = h("button", { type: "button", class: "local" }, "Copy");
  copy.addEventListener("click", () =>
    act(copy, async () => {
      getSelection().selectAllChildren(block);
      // Browsers give the clipboard to secure pages only.
      await navigator.clipboard?.writeText(text);
      copied.textContent = navigator.clipboard ? "copied" : "marked; copy it with Ctrl+C";
    }),
  );
  return h("div", { class: "buttons" }, copy, copied);
}

/** Offer a file to download. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Count things: "1 request", "2 requests". */
export function counted(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

// In a narrow window rows are no longer laid out as those of a table, which would take their meaning from them.
function withRoles(group) {
  for (const each of group.rows) each.setAttribute("role", "row");
  for (const each of group.querySelectorAll("td")) each.setAttribute("role", "cell");
  return group;
}

/**
 * Make a table of no more rows than are asked for. `columns` are the headings with their classes, `row` makes the
 * <tbody> of an entry, `none` is reported where there is none (`show` may say why). The widths of a `fixed` one do not depend on its rows, so
 * that rows can come often.
 */
export function table({ label, columns, row, none, fixed = false }) {
  let entries = [];
  let limit = AT_ONCE;
  const made = (entry) => withRoles(row(entry));
  const head = h("tr", {}, columns.map(([text, css]) => h("th", { scope: "col", class: css }, text)));
  const body = h("table", { role: "table", "aria-label": label, class: fixed && "fixed" }, h("thead", {}, head));
  const empty = h("p", { class: "empty", hidden: true }, none);
  const more = h("button", { type: "button", class: "local", hidden: true }, `Show ${AT_ONCE} more`);
  more.addEventListener("click", () => {
    limit += AT_ONCE;
    draw();
  });

  function draw() {
    for (const each of [...body.tBodies]) each.remove();
    body.append(...entries.slice(0, limit).map(made));
    count();
  }

  function count() {
    more.hidden = entries.length <= limit;
    empty.hidden = entries.length > 0;
    body.hidden = entries.length === 0;
  }

  return {
    element: h("div", { class: "table" }, body, empty, more),
    show(found, why = none) {
      entries = found;
      empty.textContent = why;
      draw();
    },
    /** Put entries, the newest first, before the others, rows that are there untouched. */
    put(found, all) {
      entries = all;
      body.tHead.after(...found.slice(0, limit).map(made));
      while (body.tBodies.length > limit) body.tBodies[limit].remove();
      count();
    },
  };
}

/**
 * Make the <tbody> of an entry whose details open under it; `cells` takes the button that opens them. The set
 * `unfolded` keeps the keys of those that are open, for when the rows are made again.
 */
export function expandable(name, cells, details, unfolded, key) {
  const opener = h("button", { type: "button", class: "open" }, name);
  const body = h("tbody", {}, h("tr", {}, cells(opener)));
  const draw = () => {
    const open = unfolded.has(key);
    opener.setAttribute("aria-expanded", String(open));
    if (open) body.append(h("tr", { class: "details" }, h("td", { colspan: body.rows[0].cells.length }, details())));
    else body.rows[1]?.remove();
  };
  draw();
  opener.addEventListener("click", () => {
    if (!unfolded.delete(key)) unfolded.add(key);
    draw();
  });
  opener.addEventListener("keydown", (event) => {
    const next = { ArrowDown: body.nextElementSibling, ArrowUp: body.previousElementSibling }[event.key];
    const target = next?.querySelector("button.open");
    if (target) {
      event.preventDefault();
      target.focus();
    }
  });
  return body;
}

/** Return whether every word of a search stands somewhere in a text of small letters. */
export function has(text, search) {
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
