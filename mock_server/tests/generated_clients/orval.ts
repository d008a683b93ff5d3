// The conversation, with the client that orval makes of fetch.
import * as api from "./central";

const [base, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const plain = globalThis.fetch;
globalThis.fetch = (path, init) =>
  plain(`${base}${path}`, { ...init, headers: { ...(init?.headers as Record<string, string>), ...headers } });

function integration(name: string, password = "not-a-real-password"): api.StorageImageIntegration {
  const docker = { endpoint: "registry.example.com", username: "robot", password };
  return { name, type: "docker", categories: ["REGISTRY"], skipTestIntegration: true, docker };
}

async function done<A extends { status: number; data: unknown }>(call: Promise<A>) {
  const answer = await call;
  if (answer.status !== 200) throw new Error(JSON.stringify(answer));
  return answer.data as Extract<A, { status: 200 }>["data"];
}

async function refused<A extends { status: number; data: unknown }>(call: Promise<A>, status: A["status"]) {
  const answer = await call;
  if (answer.status !== status) throw new Error(JSON.stringify(answer));
  const { code, message } = answer.data as api.GooglerpcStatus;
  return [status, code, message];
}

async function main() {
  const created = await done(api.postImageIntegration(integration("created")));
  const id = created.id!;
  const listed = (await done(api.getImageIntegrations())).integrations;
  const [found] = (await done(api.getImageIntegrations({ name: "created" }))).integrations;
  await done(api.putImageIntegration(id, integration("put")));
  const read = await done(api.getImageIntegration(id));
  const kept = { config: { ...read, name: "kept" }, updatePassword: false };
  await done(api.updateImageIntegration(id, kept));
  await done(api.updateImageIntegration(id, { config: integration("patched", "another"), updatePassword: true }));
  await done(api.testImageIntegration(integration("tested")));
  await done(api.testUpdatedImageIntegration(kept));
  const authorizationData = { username: "AWS", password: "p", expiresAt: "2030-01-02T03:04:05Z" };
  const ecr = { registryId: "123456789012", region: "us-east-1", authorizationData };
  const asked = { ...integration("expiring"), type: "ecr", docker: undefined, ecr };
  const expiring = await done(api.postImageIntegration(asked));
  const report = {
    created: [created.type, created.docker?.password, created.categories, created.source],
    listed: listed.length,
    found: found?.id === id,
    last: (await done(api.getImageIntegration(id))).name,
    expires: Date.parse(expiring.ecr!.authorizationData!.expiresAt!) / 1000,
    invalid: await refused(api.postImageIntegration({ ...integration("invalid"), categories: [] }), 400),
    deleted: await done(api.deleteImageIntegration(id)),
    gone: await refused(api.getImageIntegration(id), 404),
  };
  console.log(JSON.stringify(report));
}

main();
