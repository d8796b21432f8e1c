// A real browser, Debian's Chromium by playwright-core, clicks through a login. Tells what it saw as one line of JSON.
//
//   PROVIDER_MODULES=DIR node browser.js '{ "here": URL, "issuer": URL, "profile": DIR }'
import { createRequire } from 'node:module';

const { here, issuer, profile } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${process.env.PROVIDER_MODULES}/`)('playwright-core');

const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  ignoreHTTPSErrors: true,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
context.setDefaultTimeout(20000);
const seen = {};
try {
  const page = await context.newPage();
  const path = () => page.url().slice(here.length);

  await page.goto(`${here}/orders/7?a=b`);
  seen.asked = new URL(page.url()).origin;
  await page.click('text=Log in as alice');
  await page.waitForURL(`${here}/**`);
  seen.page = path();
  seen.user = await page.textContent('#user');
  seen.script_sees = await page.evaluate(() => document.cookie);
  seen.fetch = await page.evaluate(async () => {
    const answer = await fetch('/orders/8');
    return [answer.status, /<p id=user>(.*)<\/p>/.exec(await answer.text())[1]];
  });
  seen.cookies = await context.cookies(here);

  // The issuer knows the user, Edgeward no more: all tabs log in side by side.
  await context.clearCookies({ domain: 'localhost' });
  seen.tabs = await Promise.all([1, 2, 3].map(async (number) => {
    const tab = await context.newPage();
    await tab.goto(`${here}/tab/${number}`);
    await tab.waitForURL(`${here}/tab/**`);
    const title = await tab.title();
    await tab.close();
    return title;
  }));

  await page.goto(`${here}/logout`);
  await page.waitForURL(`${here}/bye`);
  seen.after_logout = [path(), await page.textContent('body')];
  seen.fetch_after = await page.evaluate(async () => (await fetch('/orders/8')).status);
  await page.goto(`${here}/orders/9`);
  seen.login_again = new URL(page.url()).origin;
} finally {
  await context.close();
}
console.log(JSON.stringify(seen));
