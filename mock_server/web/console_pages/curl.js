// A request as a line for a shell.

/** Write a request as a call of curl; `body` goes as it is where it is a text, else as JSON. */
export function curl(method, url, headers = {}, body = null) {
  const words = ["curl"];
  if (method !== "GET") words.push("-X", method);
  words.push(quoted(url));
  for (const [name, value] of Object.entries(headers)) words.push("-H", quoted(`${name}: ${value}`));
  if (body !== null) words.push("-d", quoted(typeof body === "string" ? body : JSON.stringify(body)));
  return words.join(" ");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
