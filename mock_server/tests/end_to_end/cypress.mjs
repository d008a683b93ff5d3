// Runs the UI's own Cypress specs, unchanged, in Chromium: as much of Cypress as they use, on top of Playwright.
//
//   node cypress.mjs URL SPEC… [--out DIR] [--token TOKEN] [--live] [--without TEXT] [--timeout MS] [--chromium PATH]
//
// URL serves the UI and its API. --live sends to the API what the specs would answer themselves. --without leaves out
// the tests with TEXT in their names. DIR takes a
// picture of each test and report.json. Exit status 0 when every test passed.

import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { build } from 'esbuild';
import { openBrowser } from './browser.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: 'out' },
    token: { type: 'string', default: 'mock-admin-token' },
    live: { type: 'boolean', default: false },
    without: { type: 'string' },
    timeout: { type: 'string', default: '30000' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const [base, ...specs] = positionals;
if (!/^https?:/.test(base ?? '') || !specs.length) {
  console.error('usage: node cypress.mjs URL SPEC… [options]');
  process.exit(2);
}
const timeout = Number(options.timeout);
const { page, step, close } = await openBrowser({ base, out: options.out, timeout, executablePath: options.chromium });
const jquery = createRequire(import.meta.url).resolve('jquery/dist/jquery.min.js');

const must = (condition, otherwise) => {
  if (!condition) throw new Error(otherwise);
};

async function retried(attempt) {
  const end = Date.now() + timeout;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await page.waitForTimeout(50);
    }
  }
}

// -- requests that a spec answers or waits for ---------------------------------------------------------

let routes = [];
let answered = new Map();

const glob = (pattern) =>
  new RegExp(`${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*\*|\*/g, (stars) => (stars === '*' ? '[^/]*' : '.*'))}$`);

function matching(request) {
  return routes.filter(
    ({ method, url }) => (!method || method === request.method()) && (request.url().includes(url) || glob(url).test(request.url())),
  );
}

await page.route(/\/(v1|v2|api|sso)\//, (route) => {
  const stub = matching(route.request()).findLast((each) => each.answer);
  if (!stub || options.live) return route.continue();
  must('body' in stub.answer, `only a body can be answered, not ${Object.keys(stub.answer)}`);
  return route.fulfill({ status: stub.answer.statusCode ?? 200, json: stub.answer.body });
});
page.on('response', (response) => {
  for (const alias of new Set(matching(response.request()).map((each) => each.alias))) {
    answered.set(alias, (answered.get(alias) ?? 0) + 1);
  }
});

// -- what is looked for in the page, by jQuery as in Cypress -------------------------------------------

async function ask(queries) {
  if (!(await page.evaluate(() => 'mockCentralJQuery' in window))) {
    await page.addScriptTag({ path: jquery });
    await page.evaluate(() => (window.mockCentralJQuery = window.jQuery.noConflict(true)));
  }
  const found = await page.evaluateHandle((steps) => {
    const $ = window.mockCentralJQuery;
    const contains = (scope, selector, text) => {
      const all = (selector ? scope.find(selector) : scope.find('*').addBack()).filter(':not(script, style)');
      const having = all.filter((_, each) => each.textContent.replace(/\s+/g, ' ').includes(text));
      return selector ? having.first() : having.last();
    };
    return steps.reduce((subject, [name, ...values]) => {
      if (name === 'get') return $(values[0]);
      if (name === 'containing') return contains($('body'), values[0], values[1]);
      if (name === 'contains') return contains(subject, null, values[0]);
      if (name === 'location') return window.location[values[0]];
      if (name === 'title') return document.title;
      return subject[values[0]](...values.slice(1)); // find, parent, siblings, and what invoke calls
    }, $(document));
  }, queries);
  const value = await found.evaluate((each) => (window.mockCentralJQuery && each?.jquery ? null : { value: each }));
  if (value) return value;
  const elements = await found.evaluateHandle((each) => each.get());
  const handles = [...(await elements.getProperties()).values()].map((each) => each.asElement());
  return { elements: handles };
}

async function present(queries) {
  const found = await ask(queries);
  must(found.elements?.length || (found.value !== undefined && !found.elements), `nothing is at ${JSON.stringify(queries)}`);
  return found;
}

const ASSERTIONS = {
  'be.disabled': ({ elements }) => elements[0].isDisabled(),
  'be.enabled': ({ elements }) => elements[0].isEnabled(),
  'be.visible': ({ elements }) => elements[0].isVisible(),
  'have.class': ({ elements }, name) => elements[0].evaluate((each, wanted) => each.classList.contains(wanted), name),
  'have.text': async ({ elements }, text) => (await elements[0].textContent()) === text,
  eq: ({ value }, wanted) => value === wanted,
  match: ({ value }, pattern) => pattern.test(value),
};

async function should(queries, assertion, ...values) {
  const isNot = assertion.startsWith('not.');
  const name = assertion.replace(/^not\./, '');
  if (name === 'exist') {
    const { elements } = await ask(queries);
    must(Boolean(elements.length) !== isNot, `${JSON.stringify(queries)} should ${assertion}`);
    return;
  }
  must(name in ASSERTIONS, `the assertion "${assertion}" is unknown here`);
  const holds = await ASSERTIONS[name](await present(queries), ...values);
  must(holds !== isNot, `${JSON.stringify(queries)} should ${assertion} ${values}`);
}

// -- cy: what is called is queued, and runs one after the other ----------------------------------------

let queue = [];
let newest = null;

async function drain() {
  while (queue.length) await queue.shift()();
}

async function nested(act) {
  const rest = queue;
  queue = [];
  newest = null;
  const result = act();
  const chain = result instanceof Chain ? result : newest; // what the callback asked for last
  await drain();
  queue = rest;
  return chain ? chain.subject : { value: result };
}

class Chain {
  subject = { queries: [] };

  constructor() {
    newest = this;
  }

  then(act) {
    return this.enqueue(async () => {
      const { queries, value } = this.subject;
      const yielded = queries?.length ? (await retried(() => present(queries))).value : value;
      const left = await nested(() => act(yielded));
      if (left.queries || left.value !== undefined) this.subject = left;
    });
  }

  each(act) {
    return this.enqueue(async () => {
      const { elements } = await retried(() => present(this.subject.queries));
      for (const each of elements) {
        const { clientHeight, textContent } = await each.evaluate(({ clientHeight, textContent }) => ({ clientHeight, textContent }));
        await nested(() => act([{ clientHeight, textContent }]));
      }
    });
  }

  enqueue(run) {
    queue.push(run);
    return this;
  }

  query(name, ...values) {
    return this.enqueue(() => {
      this.subject = { queries: name === 'get' ? [[name, ...values]] : [...this.subject.queries, [name, ...values]] };
      const next = queue[0];
      if (next?.asserts === this || next?.asks === this) return undefined; // retried with what follows
      return retried(() => present(this.subject.queries));
    }).mark('asks');
  }

  mark(what) {
    queue.at(-1)[what] = this;
    return this;
  }

  act(run) {
    return this.enqueue(async () => {
      for (let drawnAnew = true; drawnAnew; ) {
        const { elements } = await retried(() => present(this.subject.queries));
        drawnAnew = await run(elements[0]).then(
          () => false,
          (error) => {
            if (/not attached|detached/.test(error.message)) return true;
            throw error;
          },
        );
      }
    });
  }

  get = (selector) => this.query('get', selector);
  find = (selector) => this.query('call', 'find', selector);
  parent = (selector) => this.query('call', 'parent', selector);
  siblings = (selector) => this.query('call', 'siblings', selector);
  invoke = (name, ...values) => this.query('call', name, ...values);
  contains = (selector, text) => (text === undefined ? this.query('contains', selector) : this.query('containing', selector, text));
  should = (...words) => this.enqueue(() => retried(() => should(this.subject.queries, ...words))).mark('asserts');
  click = () => this.act((element) => element.click());
  clear = () => this.act((element) => element.fill(''));
  check = () => this.act((element) => element.check());
  blur = () => this.act((element) => element.evaluate((each) => each.blur()));
  scrollIntoView = () => this.act((element) => element.scrollIntoViewIfNeeded());
  type = (text) =>
    this.act(async (element) => {
      await element.focus();
      await element.press('End');
      await page.keyboard.type(text);
    });
  as = (alias) => {
    this.subject.route.alias = alias;
    return this;
  };
}

globalThis.cy = {
  get: (selector) => new Chain().query('get', selector),
  contains: (selector, text) => new Chain().query('containing', text === undefined ? '*' : selector, text ?? selector),
  location: (part) => new Chain().query('location', part),
  title: () => new Chain().query('title'),
  log: () => new Chain(),
  wrap: (value) => Object.assign(new Chain(), { subject: { value } }),
  env: (names) => cy.wrap(Object.fromEntries(names.map((name) => [name, Cypress.env(name)]))),
  visit: (path) =>
    new Chain().enqueue(async () => {
      await page.addInitScript(keep, [...stored]);
      await page.goto(new URL(path, base).href);
    }),
  intercept: ({ method, url }, answer) => {
    const route = { method, url, answer };
    const chain = new Chain().enqueue(() => routes.push(route));
    chain.subject = { route };
    return chain;
  },
  wait: (aliases) =>
    new Chain().enqueue(async () => {
      for (const alias of [aliases].flat().map((each) => each.slice(1))) {
        await retried(() => must(answered.get(alias) > 0, `no answer to "${alias}" came`));
        answered.set(alias, answered.get(alias) - 1);
      }
    }),
};
globalThis.Cypress = { env: (name) => ({ ROX_AUTH_TOKEN: options.token, ORCHESTRATOR_FLAVOR: 'k8s' })[name] };
globalThis.CSS = { escape: (text) => text.replace(/[^\w-]/g, '\\$&') };
const stored = new Map();
const keep = (items) => window.location.protocol.startsWith('http') && items.forEach(([key, value]) => window.localStorage.setItem(key, value));
globalThis.localStorage = { setItem: (key, value) => stored.set(key, value) };
const equal = (found) => (wanted) => must(isDeepStrictEqual(found, wanted), `${found} should equal ${wanted}`);
globalThis.expect = (found) => ({ to: { equal: equal(found), deep: { equal: equal(found) } } });

// -- describe and it -----------------------------------------------------------------------------------

let suite = null;
const tests = [];
globalThis.describe = (name, define) => {
  const outer = suite;
  suite = { name, before: [...(outer?.before ?? [])] };
  define();
  suite = outer;
};
globalThis.beforeEach = (act) => suite.before.push(act);
globalThis.it = (name, act) => tests.push({ name: `${suite.name} ${name}`, before: suite.before, act });

for (const spec of specs) {
  const { outputFiles } = await build({ entryPoints: [spec], bundle: true, write: false, format: 'iife', logLevel: 'error' });
  (0, eval)(`${outputFiles[0].text}\n//# sourceURL=${basename(spec)}`);
}
for (const { name, before, act } of tests) {
  if (options.without && name.includes(options.without)) continue;
  routes = [];
  answered = new Map();
  queue = [];
  await page.goto('about:blank');
  await step(name, async () => {
    for (const each of [...before, act]) {
      each.call({ skip: () => must(false, 'the spec skips this test') });
      await drain();
    }
  });
}
const { steps } = await close();
const failed = steps.filter((each) => !each.passed).length;
console.log(`${steps.length - failed} passed, ${failed} failed`);
process.exit(failed || !steps.length ? 1 : 0);
