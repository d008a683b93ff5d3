// How registry tests end, by host.

import { call } from "./api.js";
import { act, button, counted, h, note } from "./dom.js";

/** Make the part. */
export function part(section) {
  let outcomes = [];
  let changed = false;
  const list = h("ol", { class: "cards" });
  const state = h("span", { class: "dim", role: "status" });
  const save = h("button", { type: "submit", class: "main" }, "Apply");
  const form = h(
    "form",
    { "aria-label": "Rules", hidden: true }, // until the rules are there
    list,
    h("p", { class: "buttons" }, button("Add a rule", add), save, button("Refresh", read), state),
  );
  section.append(
    note("The mock contacts no registry. The first rule that matches the host decides; other hosts pass."),
    form,
  );
  form.addEventListener("input", edited);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, async () => {
      const sent = [...list.children].map(sentOf);
      await call("PUT", "registry-tests", { rules: sent });
      changed = false;
      state.textContent = `applied: ${counted(sent.length, "rule")}`;
    });
  });

  function edited() {
    changed = true;
    state.textContent = "not applied yet";
  }

  async function read() {
    const found = await call("GET", "registry-tests");
    outcomes = found.outcomes;
    list.replaceChildren(...found.rules.map(rule));
    form.hidden = false;
    changed = false;
    state.textContent = "";
  }

  function add() {
    const made = rule({ host: "", outcome: outcomes[0] });
    list.prepend(made);
    made.querySelector("input").focus();
    edited();
  }

  function rule({ host, outcome, reason, times, delay }) {
    const pattern = h("input", {
      name: "host",
      value: host,
      required: true,
      "aria-label": "Host",
      placeholder: "*.example.com",
    });
    const end = h("select", { name: "outcome", "aria-label": "Outcome" }, outcomes.map((each) => h("option", {}, each)));
    end.value = outcome;
    const item = h(
      "li",
      {},
      pattern,
      end,
      optional("reason", "Reason", reason, { placeholder: "reason (default: the client's error)" }),
      optional("times", "Times", times, { type: "number", min: 1, placeholder: "times" }),
      optional("delay", "Delay", delay, { placeholder: "delay" }),
    );
    const up = button("Up", () => {
      item.previousElementSibling?.before(item);
      up.focus();
      edited();
    });
    const remove = button("Remove", () => {
      (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("input").focus();
      item.remove();
      edited();
    });
    item.append(up, remove);
    return item;
  }

  // Who comes back to the page finds what was not applied yet.
  return { show: () => changed || read() };
}

function optional(name, label, value, properties) {
  return h("input", { name, "aria-label": label, title: label, value: value ?? "", autocomplete: "off", ...properties });
}

function sentOf(item) {
  const given = [...item.querySelectorAll("[name]")].filter((each) => each.value !== "");
  return Object.fromEntries(given.map(({ name, value }) => [name, name === "times" ? Number(value) : value]));
}
