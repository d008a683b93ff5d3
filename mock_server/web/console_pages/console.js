// The frame of the console: which part is shown, how the mock is, and the reset.

import { Refusal, call, sandbox } from "./api.js";
import { act, attempt, counted, h } from "./dom.js";

const PARTS = {
  requests: () => import("./requests.js"),
  integrations: () => import("./integrations.js"),
  scenarios: () => import("./scenarios.js"),
  faults: () => import("./faults.js"),
  mutants: () => import("./mutants.js"),
  registries: () => import("./registries.js"),
  sandboxes: () => import("./sandboxes.js"),
  settings: () => import("./settings.js"),
  reference: () => import("./reference.js"),
};
const SECONDS_BETWEEN_LOOKS = 2;

const main = document.getElementById("main");
const links = [...document.querySelectorAll("nav a")];
const opened = new Map(); // promises of parts by their names
let current = null;

// -- parts: each a section, made when it is first asked for; `show` and `hide` tell it whether it is visible ---------

function open(name) {
  if (!opened.has(name)) {
    const made = make(name);
    made.catch(() => opened.delete(name));
    opened.set(name, made);
  }
  return opened.get(name);
}

async function make(name) {
  const { part } = await PARTS[name]();
  const link = links.find((each) => each.hash === `#${name}`);
  const title = h("h2", { id: `${name}-title`, tabindex: "-1" }, link.textContent);
  const section = h("section", { "aria-labelledby": title.id, hidden: true }, title);
  main.append(section);
  return { section, hide() {}, ...part(section) };
}

function asked() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  return [Object.hasOwn(PARTS, name) ? name : "requests", ...rest];
}

async function go(byHand) {
  const [wanted] = asked();
  for (const link of links) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let part;
  try {
    part = await open(wanted);
  } catch {
    answering(false);
    return;
  }
  if (asked()[0] !== wanted) return; // another was asked for meanwhile
  if (part !== current) current?.hide();
  current = part;
  for (const each of main.querySelectorAll(":scope > section")) each.hidden = each !== part.section;
  if (byHand) part.section.querySelector("h2").focus();
  look();
}

function look() {
  attempt(current.section.querySelector("h2"), () => current.show(...asked().slice(1)));
}

window.addEventListener("hashchange", () => go(true));
for (const link of links) link.addEventListener("click", () => link.hash === location.hash && go(true));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  current?.section.querySelector("h2").focus();
});

// A hidden page sends no requests: they would occupy a thread of the mock.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) current?.hide();
  else if (current) look();
});

// -- how the mock is -----------------------------------------------------------------------------

const health = document.getElementById("health");
const gone = document.getElementById("gone");

async function lookAtHealth() {
  try {
    const found = await call("GET", "health");
    const manner = found.asDeployed ? "as deployed" : "as documented";
    const number = counted(found.integrations, "integration");
    answering(true);
    say(`${sandbox ? `Sandbox ${sandbox}: ` : ""}Central ${found.centralVersion} ${manner}, ${number}`);
    document.dispatchEvent(new CustomEvent("health", { detail: found }));
  } catch (error) {
    answering(error instanceof Refusal);
    say(error instanceof Refusal ? error.message : "");
  }
}

let disabled = [];

// What would ask a mock that is gone is disabled; what is on the page can still be read and copied.
function answering(answers) {
  gone.hidden = answers;
  if (answers) {
    for (const each of disabled) each.disabled = false;
    disabled = [];
    return;
  }
  const asking = [reset, ...document.querySelectorAll("main button:not(.open, .local), dialog .main")];
  const fresh = asking.filter((each) => !each.disabled);
  for (const each of fresh) each.disabled = true;
  disabled.push(...fresh);
}

function say(text) {
  if (health.textContent !== text) health.textContent = text;
}

document.addEventListener("changed", lookAtHealth);
setInterval(() => document.hidden || lookAtHealth(), SECONDS_BETWEEN_LOOKS * 1000);

const reset = document.getElementById("reset");
reset.addEventListener("click", () =>
  act(reset, async () => {
    if (!confirm("Reset this sandbox to its initial state and empty its journal?")) return;
    await call("POST", "reset");
    await lookAtHealth();
    await current.show();
  }),
);

if (sandbox) document.title = `${sandbox} · mock-central`;
go(false);
lookAtHealth();
