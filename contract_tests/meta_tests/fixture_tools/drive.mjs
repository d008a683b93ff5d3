// Sends every request of the handlers' fixtures through MSW and compares what is answered: node drive.mjs
import { isDeepStrictEqual } from "node:util";
import { setupServer } from "msw/node";
import { bodyOf, fixtures, handlers } from "./handlers.mjs";

let wrong = 0;
let sent = 0;
for (const [id, fixture] of Object.entries(fixtures)) {
  const server = setupServer(...handlers(id));
  server.listen({ onUnhandledRequest: "error" });
  for (const { request, answer } of fixture.exchanges) {
    const headers = Object.fromEntries(Object.entries(request.headers ?? {}).filter(([, value]) => value !== null));
    const body = bodyOf(request);
    const options = { method: request.method, headers, ...(body === null ? {} : { body }) };
    const got = await fetch(`http://central.example.com${request.path}`, options);
    const text = await got.text();
    const same = "text" in answer ? text === answer.text : isDeepStrictEqual(text ? JSON.parse(text) : undefined, answer.body);
    sent += 1;
    if (got.status !== answer.status || !same || got.headers.get("content-type") !== "application/json") {
      wrong += 1;
      console.log(`${id}: ${request.method} ${request.path} answered ${got.status} ${text.slice(0, 200)}`);
    }
  }
  server.close();
}
console.log(JSON.stringify({ sent, wrong }));
