// Named starting states, to switch to.

import { call } from "./api.js";
import { button, counted, h, note } from "./dom.js";

/** Make the part. */
export function part(section) {
  let start = "";
  const list = h("ul", { class: "cards" });
  const state = h("p", { class: "dim", role: "status" });
  section.append(
    note("Switching replaces the state."),
    state,
    list,
  );

  async function show() {
    const asked = ["scenarios", "scenario", "settings"].map((path) => call("GET", path));
    const [{ scenarios }, { scenario }, settings] = await Promise.all(asked);
    start = settings.load ?? (settings.empty ? "empty" : settings.scenario);
    list.replaceChildren(...scenarios.map((each) => card(each, scenario.split(":")[0] === each.name)));
    mark(scenario);
  }

  function mark(scenario) {
    state.textContent = `Current scenario: ${scenario}. Reset returns to: ${start}`;
    for (const each of list.children) {
      const on = each.dataset.name === scenario.split(":")[0];
      each.querySelector(".mark").textContent = on ? "current" : "";
      each.classList.toggle("on", on);
    }
  }

  function card({ name, title, number, broken }) {
    const many = number && h("input", { type: "number", min: 0, value: number, "aria-label": `Number for ${name}` });
    const go = button("Switch", async () => {
      const found = await call("PUT", "scenario", { scenario: many ? `${name}:${many.value}` : name });
      document.dispatchEvent(new Event("changed"));
      mark(found.scenario);
      state.textContent += `. Now ${counted(found.integrations, "integration")}`;
    });
    go.setAttribute("aria-label", `Switch to ${name}`);
    return h(
      "li",
      { "data-name": name },
      h("div", {}, h("strong", {}, name), " ", h("span", { class: "mark" })),
      h("div", { class: "grow" }, title, broken && h("div", { class: "warning" }, `Broken on purpose: ${broken}`)),
      h("div", { class: "buttons" }, many, go),
    );
  }

  return { show };
}
