// Faults: what requests meet besides, or instead of, what Central would do.

import { call } from "./api.js";
import { act, button, field, h, note, table } from "./dom.js";

const SECONDS_BETWEEN_LOOKS = 1;

/** Make the part. */
export function part(section) {
  let ids = "";
  let counts = new Map();
  let timer = 0;
  let form = null; // a promise

  const rows = table({
    label: "Faults",
    columns: [["Id", "number"], ["What"], ["Matched", "number"], ["Met", "number"], [""]],
    row,
    none: "No faults: the mock answers as Central does.",
  });
  section.append(
    note(
      "The first fault that matches a request applies. `code` answers instead of Central; `fault` breaks the answer.",
    ),
    rows.element,
    h("div", { class: "buttons" }, button("Remove all", () => change("DELETE", "faults"))),
  );

  async function change(...asked) {
    await call(...asked);
    await look();
  }

  async function look() {
    const { faults } = await call("GET", "faults");
    // Only the counts change by themselves; rows that stay keep the focus.
    const now = faults.map((each) => each.id).join();
    if (now !== ids || !faults.length) {
      ids = now;
      counts = new Map();
      rows.show(faults);
    }
    for (const { id, matched, met } of faults) {
      const [first, second] = counts.get(id);
      first.textContent = matched;
      second.textContent = met;
    }
  }

  function row({ id, matched, met, ...rest }) {
    const words = Object.entries(rest).map(([key, value]) => `${key}=${written(value)}`);
    const cells = [matched, met].map((number) => h("td", { class: "number" }, number));
    counts.set(id, cells);
    const remove = button("Remove", () => change("DELETE", `faults/${id}`), { "aria-label": `Remove fault ${id}` });
    const what = h("td", { class: "main code" }, words.join(" "));
    return h(
      "tbody",
      {},
      h("tr", {}, h("td", { class: "number" }, id), what, cells, h("td", { class: "number" }, remove)),
    );
  }

  async function makeForm() {
    const [control, contract] = await Promise.all([call("GET", "openapi.json"), call("GET", "contract.json")]);
    const items = Object.values(contract.paths).flatMap((item) => Object.values(item));
    const operations = items.map((each) => each.operationId).filter(Boolean);
    const { properties } = control.components.schemas.Fault;
    const { examples } = control.paths["/faults"].post.requestBody.content["application/json"];
    const add = h("button", { type: "submit", class: "main" }, "Add");
    const form = h(
      "form",
      { class: "fields", "aria-label": "Add a fault" },
      h("h3", {}, "Add a fault"),
      presets(Object.values(examples), (value) => fill(form, value)),
      Object.entries(properties).map(([name, schema]) => fieldOf(name, schema, operations)),
      h("p", { class: "buttons" }, add),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      act(add, async () => {
        await change("POST", "faults", sent(new FormData(form), properties));
        form.reset();
      });
    });
    section.append(form);
  }

  return {
    async show() {
      await look();
      clearInterval(timer);
      if (!section.hidden) timer = setInterval(() => look().catch(() => {}), SECONDS_BETWEEN_LOOKS * 1000);
      form ??= makeForm().catch((error) => {
        form = null;
        throw error;
      });
      await form;
    },
    hide() {
      clearInterval(timer);
    },
  };
}

// Faults to begin with, which fill the form.
function presets(examples, choose) {
  const options = examples.map((each, at) => h("option", { value: at }, each.summary));
  const input = h("select", {}, h("option", { value: "" }, ""), options);
  input.addEventListener("change", () => choose(examples[input.value]?.value ?? {}));
  return field("preset", input, "Fill in a common failure");
}

function fill(form, value) {
  for (const input of form.querySelectorAll("[name]")) {
    const found = value[input.name];
    input.value = found === undefined ? "" : input.name === "json" ? JSON.stringify(found) : lines(found);
  }
}

// Headers and the like stand one a line, as options have them.
function lines(value) {
  return typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, texts]) => [texts].flat().map((text) => `${name}: ${text}`)).join("\n")
    : String(value);
}

function written(value) {
  return typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : value;
}

// The form is what the document of the control calls says of a fault.
function fieldOf(name, schema, operations) {
  const choices =
    schema.enum ?? (name === "operation" ? operations : schema.type === "boolean" ? ["true", "false"] : null);
  const input = choices
    ? h("select", { name }, h("option", { value: "" }, ""), choices.map((each) => h("option", {}, each)))
    : schema.type === "object"
      ? h("textarea", { name, rows: 2, spellcheck: "false", placeholder: "Name: value" })
      : h("input", { name, autocomplete: "off", ...numeric(schema) });
  return field(name, input, schema.description);
}

function numeric({ type, minimum, maximum }) {
  if (type === "number") return { type: "number", min: 0, max: maximum, step: "any" };
  return type === "integer" ? { type: "number", min: minimum, max: maximum } : { type: "text" };
}

function sent(data, properties) {
  const given = [...data].filter(([, value]) => value !== "");
  return Object.fromEntries(
    given.map(([name, value]) => [name, read(name, value, properties[name].type)]),
  );
}

function read(name, value, type) {
  if (type === "integer" || type === "number") return Number(value);
  if (type === "boolean") return value === "true";
  if (type === "object") return byName(value.trim().split("\n").map(pair));
  if (name !== "json") return value;
  try {
    return JSON.parse(value);
  } catch (error) {
    throw new Error(`json: ${error.message}`);
  }
}

// A header may stand more than once.
function byName(pairs) {
  const found = {};
  for (const [name, text] of pairs) found[name] = name in found ? [found[name], text].flat() : text;
  return found;
}

function pair(line) {
  const [name, ...rest] = line.split(":");
  if (!rest.length) throw new Error(`${line}: write NAME: VALUE, one a line`);
  return [name.trim(), rest.join(":").trim()];
}
