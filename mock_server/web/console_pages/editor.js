// Creating and editing an integration: a form by its type, made from the contract, and the same as JSON.

import { call, central } from "./api.js";
import { curl } from "./curl.js";
import { act, button, code, copying, field, h, note, pretty } from "./dom.js";

const MASK = "******";
const CREDENTIAL = "always";
const FIRST_TYPE = "docker";

/**
 * Open the editor on what is stored, or on a new integration; `saved` is called when it is. Its requests are control
 * calls that do what the API does: they need no credentials of Central, meet no fault and stay out of the journal.
 */
export async function edit(stored, saved) {
  const contract = await call("GET", "contract.json");
  const dialog = dialogOf(contract, stored, saved);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function dialogOf(contract, stored, saved) {
  const { schemas, examples } = contract.components;
  const types = contract["x-types"];
  let value = stored ? structuredClone(stored) : example(FIRST_TYPE);

  const title = stored ? `Edit ${stored.name}` : "Create an integration";
  const views = ["Form", "JSON"].map((name) => h("button", { type: "button" }, name));
  const replaces = h("input", { type: "checkbox", name: "updatePassword" });
  const fields = h("div", { class: "fields" });
  const json = h("textarea", { class: "code", rows: 20, spellcheck: "false", "aria-label": "Integration as JSON" });
  const state = h("p", { class: "dim", role: "status" });
  const request = h("details", {}, h("summary", {}, "The request as curl"), h("div"));
  const save = h("button", { type: "submit", class: "main" }, stored ? "Save" : "Create");
  const form = h(
    "form",
    { "aria-label": title },
    h("h2", {}, title),
    h("div", { class: "buttons" }, views, button("Use the example", () => take(example(read().type)))),
    stored && h("label", {}, replaces, " Replace the stored credentials (updatePassword)"),
    fields,
    json,
    h("div", { class: "buttons" }, save, button("Test", test), button("Close", () => dialog.close()), state),
    request,
  );
  const dialog = h("dialog", { class: "broad", "aria-label": title }, form);

  for (const view of views) view.addEventListener("click", () => act(view, () => turn(view)));
  replaces.addEventListener("change", () => act(replaces, () => take(read())));
  json.addEventListener("input", drawRequest);
  request.addEventListener("toggle", drawRequest);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, submit);
  });
  json.hidden = true;
  turn(views[0]);
  return dialog;

  // -- two views of one value ----------------------------------------------------------------------

  function turn(view) {
    value = read();
    json.hidden = view !== views[1];
    fields.hidden = !json.hidden;
    for (const each of views) each.setAttribute("aria-pressed", String(each === view));
    draw();
  }

  /** Give what the view that is shown holds. */
  function read() {
    if (json.hidden) return value;
    const found = JSON.parse(json.value);
    if (typeof found?.type !== "string") throw new Error("this is not an integration: it has no type");
    return found;
  }

  function take(other) {
    value = stored ? { ...other, id: stored.id } : other;
    draw();
  }

  function draw() {
    if (json.hidden) fields.replaceChildren(...formFields());
    else json.value = pretty(value);
    drawRequest();
  }

  function example(type) {
    return structuredClone(examples[`${type}-request`].value);
  }

  // -- the form ------------------------------------------------------------------------------------

  function formFields() {
    const { properties } = schemas.StorageImageIntegration;
    const known = types[value.type];
    if (!known) return [note(`“${value.type}” is not a type of the contract. Use the JSON view.`)];
    value[known.member] ??= {};
    return [
      field("type", typeChoice(), "A new type starts with its example."),
      input("name", "name", properties.name, value),
      h("fieldset", {}, h("legend", {}, "categories"), known.categories.map(category)),
      ...message(properties[known.member].$ref, value[known.member], known.member),
      input("skipTestIntegration", "skipTestIntegration", properties.skipTestIntegration, value),
    ];
  }

  function typeChoice() {
    const offered = Object.keys(types).filter((name) => {
      const isRefused = contract["x-rules"][types[name].createRefusedBy];
      return !isRefused || name === stored?.type;
    });
    const choice = h("select", { name: "type" }, offered.map((name) => h("option", {}, name)));
    choice.value = value.type;
    choice.addEventListener("change", () => {
      take(stored ? { ...example(choice.value), name: value.name } : example(choice.value));
      fields.querySelector("select").focus();
    });
    return choice;
  }

  function category(name) {
    const box = h("input", { type: "checkbox", name });
    box.checked = value.categories.includes(name);
    box.addEventListener("change", () => {
      value.categories = value.categories.filter((each) => each !== name).concat(box.checked ? name : []);
      drawRequest();
    });
    return h("label", {}, box, ` ${name}`);
  }

  function message(reference, holder, path) {
    const { properties } = schemas[reference.split("/").at(-1)];
    return Object.entries(properties).flatMap(([name, schema]) => {
      const place = `${path}.${name}`;
      const inner = schema.anyOf?.find((each) => each.$ref);
      return inner ? optional(inner.$ref, name, holder, place) : input(place, name, schema, holder);
    });
  }

  /** A message that may be left out: a box that sets it, and its fields where it is set. */
  function optional(reference, name, holder, place) {
    const box = h("input", { type: "checkbox", name: place });
    box.checked = Boolean(holder[name]);
    box.addEventListener("change", () => {
      holder[name] = box.checked ? {} : null;
      draw();
      fields.querySelector(`[name="${place}"]`).focus();
    });
    const inner = holder[name] ? message(reference, holder[name], place) : [];
    return [h("label", { class: "whole" }, box, ` ${name}`), ...inner];
  }

  function input(place, name, schema, holder) {
    const isCredential = stored && schema["x-scrub"] === CREDENTIAL;
    const isKept = isCredential && !replaces.checked;
    if (isKept) holder[name] = MASK;
    else if (isCredential && holder[name] === MASK) holder[name] = "";
    const hint = isKept ? "The stored one is kept." : (schema.description ?? "").split("\n\n")[0].replaceAll("`", "");
    const attributes = { name: place, autocomplete: "off", disabled: isKept };
    if (schema.type === "boolean") {
      const box = h("input", { type: "checkbox", ...attributes });
      box.checked = Boolean(holder[name]);
      box.addEventListener("change", () => set(holder, name, box.checked));
      return h("label", { class: "field" }, h("span", {}, box, ` ${name}`), h("small", {}, hint));
    }
    const isNumber = schema.type === "integer";
    const range = isNumber ? { type: "number", min: schema.minimum, max: schema.maximum } : { type: "text" };
    const line = h("input", { ...range, ...attributes });
    line.value = holder[name] ?? "";
    line.addEventListener("input", () => set(holder, name, isNumber ? Number(line.value) : line.value || empty(schema)));
    return field(name, line, hint);
  }

  function set(holder, name, found) {
    holder[name] = found;
    drawRequest();
  }

  // -- the requests --------------------------------------------------------------------------------

  function drawRequest() {
    if (!request.open) return;
    let sent;
    try {
      sent = read();
    } catch {
      return; // half a text; the line is that of before
    }
    const [method, path, body] = stored
      ? ["PATCH", `/${stored.id}`, { config: sent, updatePassword: replaces.checked }]
      : ["POST", "", sent];
    const line = curl(method, `${central}/v1/imageintegrations${path}`, { "content-type": "application/json" }, body);
    const block = code(line, "curl line");
    request.lastElementChild.replaceChildren(block, copying(block, line));
  }

  async function test() {
    state.textContent = "";
    const sent = { config: read(), updatePassword: !stored || replaces.checked };
    await call("POST", "integrations/test", sent);
    state.textContent = "The test passed.";
  }

  async function submit() {
    state.textContent = "";
    const sent = read();
    if (stored) await call("PUT", `integrations/${stored.id}`, { config: sent, updatePassword: replaces.checked });
    else await call("POST", "integrations", sent);
    dialog.close();
    await saved();
  }
}

/** Give what stands for a text that is not set: a time is none, any other text is empty. */
function empty(schema) {
  return schema.format === "date-time" ? null : "";
}
