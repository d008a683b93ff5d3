// The settings that the mock was started with.

import { call } from "./api.js";
import { h, note, pretty } from "./dom.js";

/** Make the part. */
export function part(section) {
  const list = h("dl");
  section.append(note("The settings of the mock, without credentials."), list);

  async function show() {
    const found = await call("GET", "settings");
    list.replaceChildren(
      ...Object.entries(found).flatMap(([name, value]) => [h("dt", {}, label(name)), h("dd", {}, said(value))]),
    );
  }

  return { show };
}

// Names in words: `central_version` is "Central version".
function label(name) {
  const words = name.replaceAll("_", " ").replace(/\b(ui|ca|ttl|cors)\b/, (each) => each.toUpperCase());
  return words[0].toUpperCase() + words.slice(1);
}

function said(value) {
  if (value === null || value?.length === 0) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!Array.isArray(value)) return pretty(value);
  return value
    .map((each) => (typeof each === "string" ? each : Object.entries(each).map((pair) => pair.join("=")).join(" ")))
    .join("\n");
}
