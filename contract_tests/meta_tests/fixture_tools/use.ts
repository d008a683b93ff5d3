// What a test in TypeScript does with the module; the types have to allow this and refuse the rest.
import { answers, errors, fixtures, integrations, type ImageIntegration, type Sent } from "./fixtures";

const quay: Sent<ImageIntegration> = integrations["quay/minimal-registry"];
const read: ImageIntegration = answers["quay"];
const status: number = errors["name-unique"].status;
const masked: string | undefined = read.quay?.oauthToken;
const last: unknown = fixtures[0].exchanges.at(-1)?.answer.body;
export const used = [quay, status, masked, last];

// @ts-expect-error: a name is a text
export const name: Sent<ImageIntegration> = { name: 5 };
// @ts-expect-error: no member has this field
export const field: Sent<ImageIntegration> = { docker: { user: "robot" } };
// @ts-expect-error: a category has one of three names
export const category: Sent<ImageIntegration> = { categories: ["BOGUS"] };
// @ts-expect-error: an answer has every field
export const answer: ImageIntegration = { name: "a" };
