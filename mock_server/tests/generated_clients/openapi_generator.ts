// The conversation, with the client that openapi-generator makes of typescript-fetch.
import { Configuration, ImageIntegrationServiceApi, ResponseError } from "./central";
import type { GooglerpcStatus, StorageImageIntegration } from "./central";

const [basePath, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const api = new ImageIntegrationServiceApi(new Configuration({ basePath, headers }));

function integration(name: string, password = "not-a-real-password"): StorageImageIntegration {
  const docker = { endpoint: "registry.example.com", username: "robot", password };
  return { name, type: "docker", categories: ["REGISTRY"], skipTestIntegration: true, docker };
}

async function refused(call: Promise<unknown>) {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const { code, message }: GooglerpcStatus = await error.response.json();
    return [error.response.status, code, message];
  }
  throw new Error("not refused");
}

async function main() {
  const created = await api.postImageIntegration({ storageImageIntegration: integration("created") });
  const id = created.id!;
  const listed = (await api.getImageIntegrations()).integrations;
  const [found] = (await api.getImageIntegrations({ name: "created" })).integrations;
  await api.putImageIntegration({ id, storageImageIntegration: integration("put") });
  const read = await api.getImageIntegration({ id });
  const kept = { config: { ...read, name: "kept" }, updatePassword: false };
  await api.updateImageIntegration({ id, v1UpdateImageIntegrationRequest: kept });
  const changed = { config: integration("patched", "another"), updatePassword: true };
  await api.updateImageIntegration({ id, v1UpdateImageIntegrationRequest: changed });
  await api.testImageIntegration({ storageImageIntegration: integration("tested") });
  await api.testUpdatedImageIntegration({ v1UpdateImageIntegrationRequest: kept });
  const authorizationData = { username: "AWS", password: "p", expiresAt: new Date("2030-01-02T03:04:05Z") };
  const ecr = { registryId: "123456789012", region: "us-east-1", authorizationData };
  const expiring = await api.postImageIntegration({
    storageImageIntegration: { ...integration("expiring"), type: "ecr", docker: undefined, ecr },
  });
  const invalid = { ...integration("invalid"), categories: [] };
  const report = {
    created: [created.type, created.docker?.password, created.categories, created.source],
    listed: listed.length,
    found: found?.id === id,
    last: (await api.getImageIntegration({ id })).name,
    expires: expiring.ecr!.authorizationData!.expiresAt!.getTime() / 1000,
    invalid: await refused(api.postImageIntegration({ storageImageIntegration: invalid })),
    deleted: await api.deleteImageIntegration({ id }),
    gone: await refused(api.getImageIntegration({ id })),
  };
  console.log(JSON.stringify(report));
}

main();
