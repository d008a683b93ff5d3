// What the console asks of the mock: the control calls of the sandbox that the page's own address names.

const here = new URL(".", location.href);
const inSandbox = /^(.*)\/__sandbox\/([^/]+)\/__admin\/$/.exec(here.pathname);

/** Where the control calls are, such as http://127.0.0.1:8080/__sandbox/NAME/__admin/. */
export const control = here.href;
/** Base URL of the Central of this sandbox, without a slash at its end. */
export const central = new URL("..", here).href.replace(/\/$/, "");
/** Name of this sandbox; the default one has none. */
export const sandbox = inSandbox ? inSandbox[2] : "";

function rootPath() {
  return inSandbox ? inSandbox[1] : here.pathname.replace(/\/__admin\/$/, "");
}

/** Give the address of the console of a sandbox. */
export function consoleOf(name) {
  const root = rootPath();
  return name ? `${root}/__sandbox/${encodeURIComponent(name)}/__admin/` : `${root}/__admin/`;
}

/** Give the address that opens the web UI in a sandbox; without a name it leaves the one before. */
export function uiOf(name) {
  return new URL(`${rootPath()}/__sandbox/${encodeURIComponent(name)}/main/integrations`, here).href;
}

// -- the control token ---------------------------------------------------------------------------

const KEY = "mock-central-token";
let asking = null;

/** Give the headers that let a control call in. */
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// Many calls may meet the closed door at once; one question answers them all.
function askForToken(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    document.getElementById("token-problem").textContent = refused ? "The mock refused this token." : "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        const field = dialog.querySelector("input");
        const given = dialog.returnValue === "given";
        if (given) sessionStorage.setItem(KEY, field.value.trim());
        field.value = "";
        asking = null;
        resolve(given);
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

// -- calls ---------------------------------------------------------------------------------------

/** What the mock refuses; the message is its text. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Send a request to a control call and return its answer; throw a Refusal, or an Error if there is no answer. */
export async function send(path, options = {}) {
  for (;;) {
    const sent = authorization();
    const answer = await reached(control + path, { ...options, headers: sent });
    if (answer.status === 401) {
      const changed = authorization().Authorization !== sent.Authorization;
      if (changed || (await askForToken(Boolean(sent.Authorization)))) continue;
    }
    if (!answer.ok) throw new Refusal(answer.status, await refusal(answer));
    return answer;
  }
}

/** Ask a control call; `body` goes out as JSON, or as it is where it is a text. */
export async function call(method, path, body) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return (await send(path, { method, body: text })).json();
}

/** Give the text of an answer that refuses. */
export async function refusal(answer) {
  try {
    return (await answer.json()).message;
  } catch {
    return `the mock answered ${answer.status} ${answer.statusText}`;
  }
}

async function reached(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the mock does not answer; is it still running?");
  }
}

/** Call `got` with each request of the journal after number `since`, as it comes, until the signal aborts. */
export async function follow(since, got, signal) {
  const answer = await send(`requests/stream?since=${since}`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the mock ended the stream");
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) got(data.slice("data: ".length));
    }
  }
}
