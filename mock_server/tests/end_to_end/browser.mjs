// A browser that records every exchange with the API, and steps that are told apart in the report.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const IS_API = /^\/(v1|v2|api|sso)\//;

const decoded = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text || null;
  }
};

export async function openBrowser({ base, out, timeout, executablePath }) {
  mkdirSync(out, { recursive: true });
  const profile = mkdtempSync(join(tmpdir(), 'mock-central-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    ignoreHTTPSErrors: true,
    viewport: { width: 1400, height: 950 },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(timeout);

  const report = { base, steps: [], exchanges: [], pageErrors: [], consoleErrors: [], foreignOrigins: [] };
  const pending = [];
  let phase = 'start';
  page.on('pageerror', (error) => report.pageErrors.push(`${phase}: ${error}`));
  page.on('console', (message) => message.type() === 'error' && report.consoleErrors.push(`${phase}: ${message.text()}`));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(base).origin) report.foreignOrigins.push(origin);
  });
  page.on('response', (response) => {
    const { pathname, search } = new URL(response.url());
    if (!IS_API.test(pathname)) return;
    const request = response.request();
    const exchange = { step: phase, method: request.method(), path: pathname, query: search, status: response.status() };
    report.exchanges.push(exchange);
    const body = async () => Object.assign(exchange, { sent: decoded(request.postData()), got: decoded(await response.text()) });
    pending.push(body().catch(() => {})); // a page that is left takes its answers along
  });

  let shots = 0;
  const picture = async (name) => {
    shots += 1;
    await page.waitForTimeout(250); // what is shown has faded in
    const file = `${String(shots).padStart(3, '0')}-${name.replace(/[^a-z0-9]+/gi, '-').toLowerCase()}.png`;
    await page.screenshot({ path: join(out, file) });
  };

  async function step(name, act) {
    phase = name;
    const started = Date.now();
    const result = { name, passed: true, note: '', milliseconds: 0 };
    try {
      result.note = (await act()) ?? '';
    } catch (error) {
      Object.assign(result, { passed: false, note: `${String(error.message ?? error).split('\n')[0]} [${page.url()}]` });
    }
    result.milliseconds = Date.now() - started;
    report.steps.push(result);
    console.log(`${result.passed ? 'ok  ' : 'FAIL'}  ${name}${result.note ? `  (${result.note})` : ''}`);
    await picture(result.passed ? name : `FAIL-${name}`).catch(() => {});
    return result.passed;
  }

  async function close() {
    await Promise.all(pending);
    await context.close();
    rmSync(profile, { recursive: true, force: true });
    report.foreignOrigins = [...new Set(report.foreignOrigins)];
    writeFileSync(join(out, 'report.json'), JSON.stringify(report, null, 1));
    return report;
  }

  return { page, step, picture, close };
}
