// How registry tests end, by host.

import { call } from "./api.js";
import { act, button, h, note } from "./dom.js";

/** Make the part. */
export function part(section) {
  let outcomes = [];
  const list = h("ol", { class: "cards" });
  const state = h("span", { class: "dim", role: "status" });
  const save = h("button", { type: "submit", class: "main" }, "Apply");
  const form = h(
    "form",
    { "aria-label": "Rules" },
    list,
    h("p", { class: "buttons" }, button("Add a rule", add), save, button("Refresh", show), state),
  );
  section.append(
    note("No registry is contacted. The first rule whose pattern fits the host counts; a host without one passes."),
    form,
  );
  form.addEventListener("input", () => {
    state.textContent = "not applied yet";
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, async () => {
      const sent = [...list.children].map((each) => ({
        host: each.querySelector("input").value,
        outcome: each.querySelector("select").value,
      }));
      await call("PUT", "probe", { rules: sent });
      state.textContent = `applied: ${sent.length} rules`;
    });
  });

  async function show() {
    const found = await call("GET", "probe");
    outcomes = found.outcomes;
    list.replaceChildren(...found.rules.map(rule));
    state.textContent = "";
  }

  function add() {
    const made = rule({ host: "", outcome: outcomes[0] });
    list.prepend(made);
    made.querySelector("input").focus();
    state.textContent = "not applied yet";
  }

  function rule({ host, outcome }) {
    const pattern = h("input", { value: host, required: true, "aria-label": "Host", placeholder: "*.example.com" });
    const end = h("select", { "aria-label": "Outcome" }, outcomes.map((each) => h("option", {}, each)));
    end.value = outcome;
    const item = h("li", {}, pattern, end);
    const up = button("Up", () => {
      item.previousElementSibling?.before(item);
      up.focus();
      state.textContent = "not applied yet";
    });
    const remove = button("Remove", () => {
      (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("input").focus();
      item.remove();
      state.textContent = "not applied yet";
    });
    item.append(up, remove);
    return item;
  }

  return { show };
}
