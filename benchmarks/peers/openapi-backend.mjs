// openapi-backend as its README shows it with Express: requests validated, answers from the document's examples.
import { readFileSync } from "node:fs";
import express from "express";
import { OpenAPIBackend } from "openapi-backend";

const [file, port] = process.argv.slice(2);
// Its check of the document knows OpenAPI 3.0 only; `quick` goes without.
const api = new OpenAPIBackend({ definition: JSON.parse(readFileSync(file, "utf-8")), quick: true });
api.register({
  validationFail: (context, request, response) => response.status(400).json({ err: context.validation.errors }),
  notFound: (context, request, response) => response.status(404).json({ err: "not found" }),
  notImplemented: (context, request, response) => {
    const { status, mock } = context.api.mockResponseForOperation(context.operation.operationId);
    return response.status(status).json(mock);
  },
});
await api.init();

const app = express();
app.use(express.json());
app.use((request, response) => api.handleRequest(request, request, response));
app.listen(Number(port), "127.0.0.1");
