// Sandboxes: states apart in one server.

import { call, central, consoleOf, control, sandbox, uiOf } from "./api.js";
import { button, code, copying, field, h, note, table } from "./dom.js";

/** Make the part. */
export function part(section) {
  const rows = table({
    label: "Sandboxes",
    columns: [["Sandbox"], ["Scenario"], ["Integrations", "number"], ["Idle for", "number wide"], [""]],
    row,
    none: "",
  });
  const name = h("input", { name: "sandbox", required: true, pattern: "[A-Za-z0-9._~\\-]{1,100}", autocomplete: "off" });
  const links = h("div");
  const form = h(
    "form",
    { class: "bar", "aria-label": "Open a sandbox" },
    field("Name", name, "letters, digits and . _ ~ -"),
    h("button", { type: "submit" }, "Open"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`${consoleOf(name.value)}#requests`);
  });
  section.append(
    note("The first use of a name creates a sandbox. It is deleted after it has been idle for a while."),
    form,
    h("div", { class: "buttons" }, button("Refresh", show), button("Delete all except the default", freeAll)),
    rows.element,
    links,
  );

  async function show() {
    const [{ sandboxes }, { ui, upstream }] = await Promise.all([call("GET", "sandboxes"), call("GET", "settings")]);
    rows.show(sandboxes);
    share(Boolean(ui ?? upstream));
  }

  function share(hasPages) {
    const known = [
      ["Base URL for clients", central],
      ["Console", control],
      ...(hasPages ? [["Web UI", uiOf(sandbox)]] : []),
    ];
    links.replaceChildren(
      h("h3", {}, sandbox ? `Links to share ${sandbox}` : "Links to share the default sandbox"),
      ...known.flatMap(([label, link]) => {
        const block = code(link, label);
        return [h("div", { class: "link" }, h("span", {}, label), block, copying(block, link))];
      }),
    );
  }

  async function freeAll() {
    if (!confirm("Delete every sandbox except the default one, with its state?")) return;
    await call("DELETE", "sandboxes");
    await show();
  }

  function row(each) {
    const shown = each.name || "(default)";
    const free = async () => {
      await call("DELETE", `sandboxes/${each.name}`);
      await show();
    };
    const here = each.name === sandbox;
    return h(
      "tbody",
      {},
      h(
        "tr",
        { class: here && "on" },
        h("td", { class: "main" }, h("a", { href: `${consoleOf(each.name)}#requests` }, shown), here && " (this one)"),
        h("td", {}, each.scenario),
        h("td", { class: "number" }, each.integrations),
        h("td", { class: "number wide" }, each.name && `${each.idleSeconds} s`),
        h("td", { class: "number" }, each.name && !here && button("Delete", free, { "aria-label": `Delete ${each.name}` })),
      ),
    );
  }

  return { show };
}
