// The API reference: Swagger UI, from its package, on the contract or on the control calls.

import { authorization, call, central, control, refusal } from "./api.js";
import { h, note } from "./dom.js";

const DOCUMENTS = {
  central: { title: "Central", path: "contract.json", server: central || "/" },
  control: { title: "Control calls", path: "openapi.json", server: control.replace(/\/$/, "") },
};

let viewer = null;

/** Make the part. */
export function part(section) {
  let shown = "";
  let wanted = "";
  const place = h("div", { id: "viewer" });
  const links = Object.entries(DOCUMENTS).map(([name, { title }]) => h("a", { href: `#reference/${name}` }, title));
  section.append(
    h("nav", { class: "choice", "aria-label": "Document" }, links),
    note("“Try it out” sends requests to this mock, in this sandbox."),
    place,
  );

  return {
    async show(asked) {
      const name = Object.hasOwn(DOCUMENTS, asked) ? asked : "central";
      for (const link of links) {
        if (link.hash === `#reference/${name}`) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      wanted = name;
      if (name === shown) return;
      viewer ??= load();
      const [, document_] = await Promise.all([viewer, call("GET", DOCUMENTS[name].path)]).catch((error) => {
        viewer = null;
        throw error;
      });
      if (name !== wanted) return; // somebody chose another meanwhile
      shown = name;
      draw(place, { ...triable(document_), servers: [{ url: DOCUMENTS[name].server }] });
    },
  };
}

// The viewer shows no answer of an operation whose answers the document does not describe, and would try out every
// filter with its example.
function triable(spec) {
  // The rest, a table of the keys for programs among it, is longer than what people look for.
  spec.info.description = spec.info.description?.split("\n\n")[0];
  for (const operation of Object.values(spec.paths).flatMap((item) => Object.values(item))) {
    operation.responses ??= { default: { description: "JSON" } };
    for (const parameter of operation.parameters ?? []) if (parameter.in === "query") delete parameter.examples;
  }
  return spec;
}

function draw(place, spec) {
  SwaggerUIBundle({
    domNode: place.appendChild(fresh(place)),
    spec,
    validatorUrl: null, // it would send the document to a server of the viewer's makers
    tryItOutEnabled: true,
    defaultModelsExpandDepth: 0,
    requestInterceptor(request) {
      if (request.url.startsWith(control)) Object.assign(request.headers, authorization());
      return request;
    },
  });
}

function fresh(place) {
  place.replaceChildren();
  return h("div");
}

async function load() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();
  document.head.prepend(h("link", { rel: "stylesheet", href: "viewer/swagger-ui.css" }));
  await new Promise((resolve, reject) => {
    const script = h("script", { src: "viewer/swagger-ui-bundle.js", onload: resolve, onerror: reject });
    document.head.append(script);
  }).catch(async () => {
    throw new Error(await refusal(await fetch("viewer/swagger-ui-bundle.js")));
  });
}
