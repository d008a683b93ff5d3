// The journal, live.

import { Refusal, call, central, follow, sandbox, send } from "./api.js";
import { curl } from "./curl.js";
import { button, code, copying, counted, download, expandable, field, h, has, note, pretty, table } from "./dom.js";

/** Requests that the page remembers. */
const MOST = 5000;
const NONE_YET = "No requests yet. Requests of your clients appear here.";
/** Requests that are asked for first, so that something is there at once. */
const FIRST = 200;
const SECONDS_UNTIL_NEXT_TRY = 1;
/** Between two drawings of what came, so that a load test does not keep the browser busy. */
const MILLISECONDS_BETWEEN_DRAWINGS = 100;

/** Make the part. */
export function part(section) {
  let entries = []; // newest first
  let fitting = []; // those of them that fit the filters
  let older = []; // from before the first ones, oldest first, until the stream comes to those
  let whole = false; // whether it did
  let arrived = []; // waits for the next drawing, or for the end of a pause
  let first = 0;
  let newest = 0;
  let planned = 0;
  let paused = false;
  let connection = null;
  const unfolded = new Set();

  const search = h("input", { type: "search", name: "search" });
  const method = choice("method", ["GET", "POST", "PUT", "PATCH", "DELETE"]);
  const status = choice("status", ["2xx", "4xx", "5xx"]);
  const warned = h("input", { type: "checkbox", name: "warned" });
  const state = h("span", { class: "dim", role: "status" });
  const shown = h("span", { class: "dim" });
  const pause = h("button", { type: "button", class: "local", "aria-pressed": "false" }, "Pause");
  const rows = table({
    label: "Requests, newest first",
    columns: [
      ["Time", "w-time"],
      ["Method", "w-5"],
      ["Request"],
      ["Status", "w-5"],
      ["Rule", "w-12 wide"],
      ["ms", "w-5 number wide"],
    ],
    fixed: true,
    row: (entry) => row(entry, unfolded),
    none: NONE_YET,
  });

  section.append(
    h(
      "form",
      { class: "bar", "aria-label": "Filters", oninput: redraw, onsubmit: (event) => event.preventDefault() },
      field("Search", search),
      field("Method", method),
      field("Status", status),
      h("label", {}, warned, " with contract warnings"),
    ),
    h("div", { class: "buttons" }, pause, button("Clear", clear), button("Download as HAR", saveHar), state, shown),
    rows.element,
  );
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    flush();
  });

  function fits(entry) {
    return (
      (!method.value || entry.method === method.value) &&
      (!status.value || String(entry.status)[0] === status.value[0]) &&
      (!warned.checked || entry.warnings.length > 0) &&
      (!search.value || has(entry.searched, search.value))
    );
  }

  function redraw() {
    fitting = entries.filter(fits);
    rows.show(fitting, entries.length ? "No requests match the filter." : NONE_YET);
    tell();
  }

  function tell() {
    const all = entries.length;
    shown.textContent = `${fitting.length === all ? "" : `${fitting.length} of `}${counted(all, "request")}`;
    pause.textContent = paused ? `Resume (${arrived.length} new)` : "Pause";
  }

  // -- arriving: what comes between two drawings is put there at once ----------------------------

  function got(text) {
    const entry = summary(JSON.parse(text), text);
    if (entry.number < first) {
      older.push(entry);
    } else if (entry.number > newest) {
      newest = entry.number;
      arrived.push(entry);
      if (arrived.length > MOST) arrived.shift();
      planned ||= setTimeout(() => requestAnimationFrame(flush), MILLISECONDS_BETWEEN_DRAWINGS);
    } else if (!whole) {
      whole = true;
      entries = entries.concat(older.reverse()).slice(0, MOST);
      redraw();
    }
  }

  function flush() {
    planned = 0;
    if (!paused && arrived.length) {
      entries = arrived.reverse().concat(entries).slice(0, MOST);
      const fresh = arrived.filter(fits);
      fitting = fresh.concat(fitting);
      while (fitting.at(-1)?.number < entries.at(-1).number) fitting.pop();
      arrived = [];
      rows.put(fresh, fitting);
    }
    tell();
  }

  async function connect(signal) {
    const { requests } = await call("GET", `requests?limit=${FIRST}`);
    if (signal.aborted) return;
    const last = arrived.at(-1) ?? entries[0];
    // Numbers begin anew with the mock and with the sandbox.
    if (!requests.some((each) => each.number === last?.number && each.time === last.time)) begin(requests);
    older = [];
    state.textContent = "live";
    await follow(whole ? newest : Math.max(newest - MOST, 0), got, signal);
  }

  function begin(requests) {
    entries = requests.map((each) => summary(each, JSON.stringify(each))).reverse();
    arrived = [];
    first = entries.at(-1)?.number ?? 0;
    newest = entries[0]?.number ?? 0;
    whole = requests.length < FIRST;
    unfolded.clear();
    redraw();
  }

  async function stay(signal) {
    while (!signal.aborted) {
      try {
        await connect(signal);
      } catch (error) {
        if (signal.aborted) return;
        state.textContent = `not live: ${error.message}`;
        if (error instanceof Refusal && error.status !== 429) return; // it would refuse again
        await new Promise((resolve) => setTimeout(resolve, SECONDS_UNTIL_NEXT_TRY * 1000));
      }
    }
  }

  async function saveHar() {
    download(await (await send("requests.har")).blob(), `mock-central${sandbox && `-${sandbox}`}.har`);
  }

  async function clear() {
    await call("DELETE", "requests");
    begin([]);
  }

  return {
    show() {
      connection?.abort();
      connection = new AbortController();
      stay(connection.signal);
    },
    hide() {
      connection?.abort();
      state.textContent = "";
    },
  };
}

function choice(name, values) {
  return h("select", { name }, h("option", { value: "" }, "all"), values.map((each) => h("option", {}, each)));
}

// What a row and the filters need; the rest stays a text until somebody opens it.
function summary(entry, text) {
  const { number, time, method, path, query, operation, status, rule, warnings, fault, ms, body } = entry;
  const name = body?.name ?? body?.config?.name ?? "";
  const searched = [method, path, query, operation, status, rule, ...warnings, fault, name].join(" ").toLowerCase();
  return { number, time, method, path, query, status, rule, warnings, fault, ms, text, searched };
}

function row(entry, unfolded) {
  const target = entry.query ? `${entry.path}?${entry.query}` : entry.path;
  return expandable(
    target.split(/(?<=[/&?])/).flatMap((each) => [unbroken(each), h("wbr")]),
    (opener) => [
      h("td", {}, h("time", { datetime: entry.time, title: entry.time }, clock(entry.time))),
      h("td", {}, entry.method),
      h(
        "td",
        { class: "main" },
        opener,
        entry.warnings.map((each) => h("div", { class: "warning" }, each)),
        entry.fault && h("div", { class: "fault" }, `met ${entry.fault}`),
      ),
      h("td", { class: `status s${String(entry.status)[0]}` }, entry.status),
      h("td", { class: "wide" }, entry.rule),
      h("td", { class: "number wide" }, entry.ms.toFixed(1)),
    ],
    () => details(JSON.parse(entry.text)),
    unfolded,
    entry.number,
  );
}

// An id keeps its line where it fits one: it would break at its hyphens.
function unbroken(piece) {
  return piece.length > 40 ? piece : h("span", { class: "whole-piece" }, piece);
}

function clock(time) {
  const at = new Date(time);
  const digits = (number, width) => String(number).padStart(width, "0");
  const seconds = [at.getHours(), at.getMinutes(), at.getSeconds()].map((each) => digits(each, 2)).join(":");
  return [seconds, h("span", { class: "wide" }, `.${digits(at.getMilliseconds(), 3)}`)];
}

let titles = null; // a promise of what each rule says, for all rows

/** Say what a rule is about, once the contract is read. */
function explained(rule) {
  const line = h("p", { class: "dim" });
  titles ??= call("GET", "contract.json").then((found) => new Map(Object.entries(found["x-rules"])));
  titles
    .then((found) => {
      const { title, source } = found.get(rule) ?? {};
      if (title) line.textContent = `${rule}: ${title}${source ? ` (${source})` : ""}`;
    })
    .catch(() => {
      titles = null; // the row says the rule's name
    });
  return line;
}

function details(entry) {
  const line = curlOf(entry);
  const block = code(line, "curl line");
  const facts = [
    ["operation", entry.operation],
    ["rule", entry.rule],
    ["fault", entry.fault],
    ["took", `${entry.ms} ms`],
  ];
  return [
    h("p", { class: "dim" }, facts.filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join(", ")),
    entry.rule && explained(entry.rule),
    h("h3", {}, "Request"),
    code(pretty(entry.headers), "headers"),
    entry.body !== null && code(pretty(entry.body), "sent body"),
    h("h3", {}, `Response: ${entry.status}`),
    entry.answer === null ? note("no body") : code(pretty(entry.answer), "response body"),
    h("h3", {}, "Repeat"),
    block,
    copying(block, line),
    note("Replace ****** with your credentials."),
  ];
}

function curlOf(entry) {
  const byte = (letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`;
  const path = entry.path.replace(/[^\w\-./~:@!$&'()*+,;=]/g, byte); // WSGI's spelling: a letter a byte
  const names = ["authorization", "content-type", "prefer"].filter((name) => entry.headers[name]);
  const headers = Object.fromEntries(names.map((name) => [name, entry.headers[name]]));
  return curl(entry.method, central + path + (entry.query && `?${entry.query}`), headers, entry.body);
}
