// Walks through the image integrations in the web UI of StackRox, in Chromium.
//
//   node drive.mjs URL [--out DIR] [--types a,b] [--gone a,b] [--user U] [--password P]
//                      [--fail-host HOST] [--timeout MS] [--chromium PATH]
//
// URL serves the UI and its API. HOST is one whose registry test fails. DIR takes a picture of each
// step and report.json. --gone: types that Central keeps but does not make any more. Exit status 0
// when every step passed.

import { parseArgs } from 'node:util';
import { openBrowser } from './browser.mjs';
import { FORMS, LABELS } from './forms.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: 'out' },
    types: { type: 'string', default: Object.keys(FORMS).join(',') },
    gone: { type: 'string', default: 'google' },
    user: { type: 'string', default: 'admin' },
    password: { type: 'string', default: 'mock-password' },
    'fail-host': { type: 'string', default: 'unreachable.example.com' },
    timeout: { type: 'string', default: '30000' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const base = (positionals[0] ?? '').replace(/\/$/, '');
if (!/^https?:/.test(base)) {
  console.error('usage: node drive.mjs URL [options]');
  process.exit(2);
}
const timeout = Number(options.timeout);
const { page, step, picture, close } = await openBrowser({ base, out: options.out, timeout, executablePath: options.chromium });

// -- what the steps are made of -----------------------------------------------------------------------

const LIST = /^\/v1\/imageintegrations$/;
const ONE = /^\/v1\/imageintegrations\/[^/]+$/;
const TEST = /^\/v1\/imageintegrations\/test(\/updated)?$/;
const MASK = '******';
const stamp = String(Date.now()).slice(-6);

const must = (condition, otherwise) => {
  if (!condition) throw new Error(otherwise);
};
const address = (type) => `/main/integrations/imageIntegrations/${type}`;
const isAt = (path) => page.waitForURL((url) => url.pathname === path);
const byId = (id) => page.locator(`[id="${id}"]`);
const row = (name) => page.locator('tbody tr', { has: page.getByRole('link', { name, exact: true }) });
const saveButton = () => page.getByTestId('create-btn');
const testButton = () => page.getByTestId('test-btn');
const confirm = () => page.locator('.pf-confirmation-modal-confirm-btn').click();
const enabled = (id) => page.waitForFunction((each) => !document.querySelector(`[data-testid="${each}"]`).disabled, id);
const replaced = (value) => value.replace('first', 'second');

async function exchange(method, path, act) {
  const matches = (each) => each.request().method() === method && path.test(new URL(each.url()).pathname);
  const [response] = await Promise.all([page.waitForResponse(matches, { timeout }), act()]);
  return {
    status: response.status(),
    path: new URL(response.url()).pathname,
    sent: response.request().postDataJSON(),
    got: await response.json(),
  };
}

async function accepted(method, path, act) {
  const found = await exchange(method, path, act);
  must(found.status === 200, `${method} ${found.path} answered ${found.status} ${JSON.stringify(found.got)}`);
  return found;
}

async function alertText() {
  const alert = page.locator('#form-message-alert .pf-v6-c-alert');
  await alert.waitFor();
  return (await alert.innerText()).replace(/\s+/g, ' ').trim();
}

async function shown(found) {
  const text = await alertText();
  must(text.includes(found.got.message), `the form shows "${text}", the server said ${JSON.stringify(found.got)}`);
  await picture(`says ${found.status}`);
  return `${found.status} "${found.got.message}"`;
}

async function testSucceeds() {
  const found = await accepted('POST', TEST, () => testButton().click());
  must(/test was successful/.test(await alertText()), 'the form does not say that the test was successful');
  return found;
}

async function openList(type) {
  await page.goto(`${base}${address(type)}`);
  await page.getByRole('heading', { level: 2, name: /^\d+ results? found$/ }).waitFor();
}

async function openTile(type) {
  await page.goto(`${base}/main/integrations`);
  await page.getByLabel(`View ${LABELS[type]} integrations`, { exact: true }).click();
  await isAt(address(type));
  await page.getByRole('heading', { level: 2, name: /^\d+ results? found$/ }).waitFor();
}

async function openEmptyForm(type) {
  // After saving, a form goes one step back: it has to be opened from inside the UI.
  if (!FORMS[type].direct) return page.getByTestId('add-integration').click();
  return page.evaluate((path) => {
    window.history.pushState({}, '', path);
    window.dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  }, `${address(type)}/create`);
}

async function chooseFromMenu(name, item) {
  await row(name).getByRole('button', { name: 'Kebab toggle' }).click();
  await page.getByRole('menuitem', { name: item }).click();
}

// -- one type, from the empty form until it is deleted -------------------------------------------------

class Walk {
  constructor(type) {
    this.type = type;
    this.form = FORMS[type];
    this.name = `walk ${type} ${stamp}`;
    this.id = '';
  }

  step(what, act) {
    return step(`${this.type}: ${what}`, () => act.call(this));
  }

  input(path) {
    return byId(`${this.form.prefix}${path}`);
  }

  async fill(values) {
    for (const [path, value] of Object.entries(values)) await this.input(path).fill(value);
  }

  get hidden() {
    const secrets = Object.entries(this.form.secrets ?? {});
    return secrets.filter(([path]) => !(this.form.plain ?? []).includes(path));
  }

  mustBeMasked(integration) {
    for (const [path] of this.hidden) {
      const value = path.split('.').reduce((part, key) => part[key], integration);
      must(value === MASK, `${path} reads ${JSON.stringify(value)}`);
    }
  }

  async run() {
    if (!(await this.step('the tile opens the list', () => openTile(this.type)))) return;
    if (!(await this.step('the empty form offers neither test nor save', this.open))) return;
    await this.step('a filled form can be tested', this.test);
    if (options.gone.split(',').includes(this.type)) {
      await this.step('a new integration is refused', this.refuse);
      return;
    }
    if (!(await this.step('a new integration is saved and listed', this.save))) return;
    await this.step('the list masks credentials', this.list);
    await this.step('the details show everything but credentials', this.details);
    await this.step('an edit without credentials is saved', this.edit);
    if (this.form.guarded) await this.step('a change that needs the credentials is refused', this.guard);
    if (this.form.secrets) await this.step('an edit with new credentials is saved', this.replace);
    await this.step('a failing test shows why', this.fail);
    await this.step('it is deleted', this.delete);
  }

  async open() {
    await openEmptyForm(this.type);
    await this.input('name').waitFor();
    must(await saveButton().isDisabled(), 'an empty form can be saved');
    must(await testButton().isDisabled(), 'an empty form can be tested');
  }

  async test() {
    await this.fill({ name: this.name, ...this.form.fill });
    if (this.form.toggle) await page.getByRole('button', { name: this.form.toggle, exact: true }).click();
    await this.fill(this.form.secrets ?? {});
    await enabled('test-btn');
    const { path } = await testSucceeds();
    must(path.endsWith(this.form.secrets ? '/test/updated' : '/test'), `the test went to ${path}`);
  }

  async save() {
    const { sent, got } = await accepted('POST', LIST, () => saveButton().click());
    must(!('config' in sent), 'what was sent is not a bare integration');
    must(got.id, 'the answer has no id');
    this.id = got.id;
    this.mustBeMasked(got);
    await isAt(address(this.type));
    await row(this.name).waitFor();
    const text = (await row(this.name).innerText()).replace(/\s+/g, ' ').trim();
    for (const each of this.form.columns) must(text.includes(each), `the row lacks "${each}": ${text}`);
    return text;
  }

  async refuse() {
    const refused = await exchange('POST', LIST, () => saveButton().click());
    must(refused.status === 400, `the server answered ${refused.status}`);
    return shown(refused);
  }

  async list() {
    const { got } = await accepted('GET', LIST, () => page.reload());
    const mine = got.integrations.find((each) => each.id === this.id);
    must(mine, 'the list lacks the new integration');
    this.mustBeMasked(mine);
  }

  async details() {
    await row(this.name).getByRole('link', { name: this.name, exact: true }).click();
    await isAt(`${address(this.type)}/view/${this.id}`);
    await this.input('name').waitFor();
    must((await this.input('name').inputValue()) === this.name, 'the name is not shown');
    must(await this.input('name').isDisabled(), 'the details can be edited');
    for (const [path, value] of Object.entries(this.form.fill)) {
      must((await this.input(path).inputValue()) === value, `${path} is not shown`);
    }
    for (const [path] of this.hidden) {
      const input = this.input(path);
      if (await input.count()) must((await input.inputValue()) === '', `${path} is shown`);
    }
  }

  async edit() {
    await page.getByRole('link', { name: 'Edit', exact: true }).click();
    await this.formIsOpen();
    this.name = `renamed ${this.name}`;
    await this.fill({ name: this.name, ...this.form.edit });
    await testSucceeds();
    const { sent } = await accepted(this.form.secrets ? 'PATCH' : 'PUT', ONE, () => saveButton().click());
    if (this.form.secrets) {
      must(sent.updatePassword === false && sent.config.id === this.id, 'the update asks for new credentials');
    }
    await isAt(address(this.type));
    await row(this.name).waitFor();
    const text = await row(this.name).innerText();
    for (const value of Object.values(this.form.edit)) must(text.includes(value), `the row lacks "${value}": ${text}`);
  }

  async guard() {
    await this.editAgain();
    await this.input(this.form.guarded).fill('elsewhere.example.com');
    const refused = await exchange('PATCH', ONE, () => saveButton().click());
    must(refused.status === 400, `the server answered ${refused.status}`);
    must(/^credentials required to update field/.test(refused.got.message), `the server said ${refused.got.message}`);
    const note = await shown(refused);
    await this.cancel();
    return note;
  }

  async replace() {
    await this.editAgain();
    await this.newCredentials();
    const tested = await testSucceeds();
    must(tested.sent.updatePassword === true, 'the test was of the stored credentials');
    const { sent } = await accepted('PATCH', ONE, () => saveButton().click());
    must(sent.updatePassword === true, 'the update keeps the stored credentials');
    await isAt(address(this.type));
    await row(this.name).waitFor();
  }

  async fail() {
    await this.editAgain();
    if (this.form.secrets) await this.newCredentials();
    await this.input(this.form.fails).fill(options['fail-host']);
    const failed = await exchange('POST', TEST, () => testButton().click());
    must(failed.status === 400, `the test answered ${failed.status}`);
    const note = await shown(failed);
    await this.cancel();
    return note;
  }

  async delete() {
    await row(this.name).waitFor();
    await chooseFromMenu(this.name, 'Delete integration');
    await accepted('DELETE', ONE, confirm);
    await page.getByText('Successfully deleted 1 integration').waitFor();
    await row(this.name).waitFor({ state: 'detached' });
  }

  async editAgain() {
    if (!page.url().endsWith(address(this.type))) await openList(this.type);
    await chooseFromMenu(this.name, 'Edit integration');
    await this.formIsOpen();
  }

  async formIsOpen() {
    await isAt(`${address(this.type)}/edit/${this.id}`);
    await this.input('name').waitFor();
  }

  async newCredentials() {
    await byId('updatePassword').check();
    const values = Object.entries(this.form.secrets).map(([path, value]) => [path, replaced(value)]);
    await this.fill(Object.fromEntries(values));
    await enabled('create-btn');
  }

  async cancel() {
    await page.getByRole('button', { name: 'Cancel' }).click();
    await isAt(address(this.type));
  }
}

// -- logging in, and what is not of one type -----------------------------------------------------------

async function openLogin() {
  await page.goto(`${base}/main/integrations`);
  await page.locator('input[name="username"]').waitFor();
}

async function logIn(password) {
  await page.locator('input[name="username"]').fill(options.user);
  await page.locator('input[name="password"]').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

async function wrongPassword() {
  const refused = await exchange('POST', /exchangeToken$/, () => logIn('wrong'));
  must(refused.status === 403, `the server answered ${refused.status}`);
  await page.getByText(refused.got.error).waitFor();
  return refused.got.error;
}

async function rightPassword() {
  await logIn(options.password);
  await page.getByRole('heading', { level: 1, name: 'Integrations' }).waitFor();
}

async function everyTile() {
  await isAt('/main/integrations/imageIntegrations');
  for (const label of Object.values(LABELS)) await page.getByLabel(`View ${label} integrations`, { exact: true }).waitFor();
  must(!(await page.getByText('Unable to get integrations').count()), 'the tab shows an error');
}

async function otherTabs() {
  const tabs = page.locator('a[href^="/main/integrations/"][role="tab"], .pf-v6-c-tabs__link');
  const count = await tabs.count();
  must(count > 1, 'there are no other tabs');
  for (let index = 0; index < count; index += 1) {
    await tabs.nth(index).click();
    await page.getByTestId('integration-tile').first().waitFor();
    must(!(await page.getByText('Unable to get integrations').count()), `${page.url()} shows an error`);
  }
  return `${count} tabs`;
}

async function scannerV4() {
  await openTile('scannerv4');
  must(!(await page.getByTestId('add-integration').count()), 'another one can be created');
  const link = page.locator('tbody tr a').first();
  const name = await link.innerText();
  await link.click();
  await byId('name').waitFor();
  must((await byId('name').inputValue()) === name, 'the name is not shown');
}

const twins = [`walk twin A ${stamp}`, `walk twin B ${stamp}`];

async function create(name) {
  await openList('docker');
  await openEmptyForm('docker');
  await byId('config.name').fill(name);
  await byId('config.docker.endpoint').fill('twin.example.com');
  await enabled('create-btn');
  return exchange('POST', LIST, () => saveButton().click());
}

async function createTwins() {
  for (const name of twins) {
    const { status } = await create(name);
    must(status === 200, `the server answered ${status}`);
    await isAt(address('docker'));
    await row(name).waitFor();
  }
}

async function sameName() {
  const refused = await create(twins[0]);
  must(refused.status === 400, `the server answered ${refused.status}`);
  return shown(refused);
}

async function deleteTwins() {
  await openList('docker');
  for (const name of twins) await row(name).getByRole('checkbox').check();
  await page.getByRole('button', { name: /^Delete 2 selected/ }).click();
  await accepted('DELETE', ONE, confirm);
  await page.getByText('Successfully deleted 2 integrations').waitFor();
  for (const name of twins) await row(name).waitFor({ state: 'detached' });
}

async function unknownId() {
  await page.goto(`${base}${address('docker')}/edit/no-such-id`);
  await page.getByText("404: We couldn't find that page").waitFor();
}

const errors = () => page.locator('.pf-v6-c-alert.pf-m-danger, .pf-v6-c-banner.pf-m-red').count();

async function systemHealth() {
  await page.goto(`${base}/main/system-health`);
  for (const card of ['Central database health', 'Image Integrations', 'Notifier Integrations', 'Backup Integrations', 'Declarative configuration']) {
    await page.locator('.pf-v6-c-card__header', { hasText: card }).getByText('no errors').waitFor();
  }
  must(!(await errors()), 'the page shows an error');
}

async function apiToken() {
  await page.goto(`${base}/main/integrations/authProviders/apitoken`);
  await page.getByText('Generate token').click();
  await byId('name').fill(`walk token ${stamp}`);
  await byId('roles').click();
  await page.getByRole('option', { name: 'Admin', exact: true }).click();
  await page.getByRole('button', { name: 'Generate' }).click();
  await page.getByText('Integration was saved successfully').waitFor();
  must(!(await errors()), 'the page shows an error');
}

async function apiReference() {
  await page.route('https://cdn.redoc.ly/**', (route) => route.fulfill({ body: '' })); // a logo, from another origin
  await page.goto(`${base}/main/apidocs`);
  await page.getByText('ImageIntegrationService').first().waitFor({ timeout: 3 * timeout }); // much to draw
  await page.goto(`${base}/main/apidocs-v2`);
  await page.getByRole('heading', { name: /^StackRox Central/ }).waitFor({ timeout: 3 * timeout });
  must(!(await errors()), 'the page shows an error');
}

async function logOut() {
  await openList('docker');
  await page.getByRole('button', { name: 'User menu' }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await page.locator('input[name="username"]').waitFor();
}

async function journey() {
  if (!(await step('the login page opens', openLogin))) return;
  await step('a wrong password is refused and says so', wrongPassword);
  if (!(await step('the right password opens the integrations', rightPassword))) return;
  await step('every type has its tile', everyTile);
  await step('the other tabs open', otherTabs);
  for (const type of options.types.split(',')) await new Walk(type).run();
  await step('scannerv4: the list cannot be added to', scannerV4);
  await step('two more integrations are created', createTwins);
  await step('a name is not given twice', sameName);
  await step('several are deleted at once', deleteTwins);
  await step('an unknown id is a page that is not found', unknownId);
  await step('the system health shows no error', systemHealth);
  await step('an API token is generated', apiToken);
  await step('both API references open', apiReference);
  await step('logging out leads to the login page', logOut);
}

await journey();
const { steps } = await close();
const failed = steps.filter((each) => !each.passed).length;
console.log(`${steps.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
