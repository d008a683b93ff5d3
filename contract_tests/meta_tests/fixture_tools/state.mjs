// Prints what is answered to the life of integrations: node state.mjs [URL], without one by the handlers with a state.
import { setupServer } from "msw/node";
import { central, fixtures } from "./handlers.mjs";

const at = process.argv[2];
if (!at) setupServer(...central()).listen({ onUnhandledRequest: "error" });
const ids = new Set();

async function ask(method, path, body) {
  const options = { method, ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body), headers: { "Content-Type": "application/json" } }) };
  const answer = await fetch(`${at ?? "http://central.example.com"}/v1/imageintegrations${path}`, options);
  const value = await answer.json();
  if (method === "POST" && value.id) ids.add(value.id);
  const text = [...ids].reduce((told, id) => told.replaceAll(id, "ID"), JSON.stringify(value));
  const found = JSON.parse(text);
  found.integrations?.sort((a, b) => (a.name < b.name ? -1 : 1));
  console.log(JSON.stringify([method, path.split("/").at(-1).length < 30 ? path : "", answer.status, found]));
  return value;
}

await ask("GET", "");
for (const [name, { type, exchanges: [{ request: { body } }] }] of Object.entries(fixtures)) {
  if (!/^type\/.*\/(full)-/.test(name) || typeof body !== "object" || body.categories.length > 1) continue;
  for (const skipTestIntegration of [true, false]) {
    const sent = { ...body, skipTestIntegration, name: `${body.name} ${skipTestIntegration}` };
    const { id } = await ask("POST", "", sent);
    if (!id) continue; // Central does not let one create this type
    const shown = await ask("GET", `/${id}`);
    const [member, config] = Object.entries(shown).find(([key, each]) => key !== "source" && each?.constructor === Object);
    await ask("GET", `?name=${encodeURIComponent(sent.name)}`);
    await ask("POST", "", sent); // the name is taken
    await ask("PATCH", `/${id}`, { config: { ...shown, name: `${sent.name} again` }, updatePassword: false });
    for (const field of Object.keys(config)) {
      const now = shown[member][field];
      if (typeof now === "object" || typeof now === "number" || field === "useAssumeRole") continue; // rules not known there
      const config = typeof now === "boolean" ? !now : /endpoint/i.test(field) ? "elsewhere.example.com:8443" : "elsewhere";
      await ask("PATCH", `/${id}`, { config: { ...shown, [member]: { ...shown[member], [field]: config } } });
      await ask("POST", "/test/updated", { config: { ...shown, [member]: { ...shown[member], [field]: config } } });
    }
    for (const field of Object.keys(body[member])) {
      const less = { ...sent, name: `${sent.name} ${field}`, [member]: { ...body[member], [field]: null } };
      await ask("POST", "/test", less);
      const made = await ask("POST", "", less);
      if (made.id) await ask("DELETE", `/${made.id}`);
      await ask("PUT", `/${id}`, { ...less, name: sent.name });
      await ask("GET", `/${id}`);
    }
    await ask("POST", "", { ...sent, name: `${sent.name} bare`, [member]: null });
    await ask("PATCH", `/${id}`, { config: sent, updatePassword: true });
    await ask("PUT", `/${id}`, { ...sent, name: "" });
    await ask("PUT", `/${id}`, { ...sent, categories: [] });
    await ask("POST", "", { ...sent, categories: [] }); // the name is taken, too
    await ask("PUT", `/${id}`, { ...sent, name: `${type} "renamed"` });
    await ask("POST", "", { ...sent, name: `${type} "renamed"` });
    await ask("GET", "");
    await ask("DELETE", `/${id}`);
    for (const method of ["GET", "DELETE"]) await ask(method, `/${id}`);
    await ask("PUT", `/${id}`, sent);
    await ask("POST", "/test/updated", { config: { ...sent, id: "" } });
  }
}
await ask("GET", "?cluster=any");
for (const [method, path] of [["POST", ""], ["POST", "/test"], ["POST", "/test/updated"], ["PUT", "/x"], ["PATCH", "/x"]]) {
  for (const body of ["", "{}", "{", { config: null }, { name: "{name}" }]) await ask(method, path, body);
  for (const body of ["null", "[]", "5", "{'a': 1}"]) {
    const options = { method, body, headers: { "Content-Type": "application/json" } };
    const { status } = await fetch(`${at ?? "http://central.example.com"}/v1/imageintegrations${path}`, options);
    console.log(method, path, body, status); // the handlers have one text for all of these
  }
}
