// Mutants: where the mock is wrong about Central on purpose.

import { call } from "./api.js";
import { act, button, field, h, has, note, table } from "./dom.js";

/** Make the part. */
export function part(section) {
  let known = [];
  let applied = new Set();
  let last = Promise.resolve();

  const search = h("input", { type: "search", name: "search" });
  const kind = h("select", { name: "kind" });
  const only = h("input", { type: "checkbox", name: "only" });
  const state = h("span", { class: "dim", role: "status" });
  const rows = table({
    label: "Mutants",
    columns: [["Mutant"], ["Kind", "wide"], ["What is wrong"]],
    row,
    none: "No mutants match the filter.",
  });
  section.append(
    note(
      "A mutant breaks one of Central's rules, to see whether tests notice. The state " +
        "stays. To simulate errors, delays and lost answers, use faults.",
    ),
    h(
      "form",
      { class: "bar", "aria-label": "Filters", oninput: redraw, onsubmit: (event) => event.preventDefault() },
      field("Search", search),
      field("Kind", kind),
      h("label", {}, only, " applied only"),
    ),
    h("div", { class: "buttons" }, button("Remove all", () => apply([]).then(redraw)), state),
    rows.element,
  );

  async function show() {
    const found = await call("GET", "mutants");
    known = found.known.map((each) => ({ ...each, searched: `${each.name} ${each.summary}`.toLowerCase() }));
    const chosen = kind.value;
    const kinds = [...new Set(known.map((each) => each.kind))];
    kind.replaceChildren(h("option", { value: "" }, "all"), ...kinds.map((each) => h("option", {}, each)));
    kind.value = chosen;
    take(found.mutants);
    redraw();
  }

  function redraw() {
    rows.show(
      known.filter(
        (each) =>
          (!kind.value || each.kind === kind.value) &&
          (!only.checked || applied.has(each.name)) &&
          (!search.value || has(each.searched, search.value)),
      ),
    );
  }

  function take(names) {
    applied = new Set(names);
    state.textContent = `${applied.size} of ${known.length} applied`;
  }

  async function apply(names) {
    take((await call("PUT", "mutants", { mutants: names })).mutants);
  }

  // One after the other: each switch is about what the one before it left.
  async function turn(name, on) {
    const turned = last.then(() => apply(on ? [...applied, name] : [...applied].filter((each) => each !== name)));
    last = turned.catch(() => {});
    await turned;
  }

  function row({ name, kind, summary }) {
    const box = h("input", { type: "checkbox", role: "switch" });
    box.checked = applied.has(name);
    box.addEventListener("change", () =>
      act(box.parentElement, () =>
        turn(name, box.checked).finally(() => {
          box.checked = applied.has(name);
        }),
      ),
    );
    return h(
      "tbody",
      {},
      h(
        "tr",
        {},
        h("td", {}, h("label", { class: "code" }, box, " ", name)),
        h("td", { class: "wide" }, kind),
        h("td", { class: "main broad" }, summary),
      ),
    );
  }

  return { show };
}
