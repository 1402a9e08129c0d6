// A headless Chromium or Firefox, steered by lines of JSON on standard input; answers by lines of
// JSON on standard output. argv[2]: settings {browser, microphone, microphone_hz, profile, width,
// height, tones}. One command: {"id":1,"do":"click","selector":"#call"} -> {"id":1,"value":null}
// or {"id":1,"error":"why"}. The page is watched by probe.js (sockets, what is heard).
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const settings = JSON.parse(process.argv[2]);
const here = path.dirname(fileURLToPath(import.meta.url));
const probe = fs.readFileSync(path.join(here, 'probe.js'), 'utf8');
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const chromium = () => ({
  executablePath: '/usr/bin/chromium',
  headless: true,
  userDataDir: settings.profile,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
    '--disable-backgrounding-occluded-windows', '--disable-dev-shm-usage',
    '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
    `--use-file-for-fake-audio-capture=${settings.microphone}`,
    '--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required',
  ],
});

const firefox = () => ({
  browser: 'firefox',
  executablePath: '/usr/bin/firefox-esr',
  headless: true,
  extraPrefsFirefox: {
    'media.navigator.streams.fake': true,
    'media.navigator.permission.disabled': true,
    'media.navigator.audio.fake_frequency': settings.microphone_hz,
    'media.peerconnection.ice.loopback': true,
    'media.peerconnection.ice.obfuscate_host_addresses': false,
    'media.autoplay.default': 0,
    'network.manage-offline-status': false,
    'network.connectivity-service.enabled': false,
    'network.dns.disabled': false,
    'privacy.resistFingerprinting': false,
  },
});

const browser = await puppeteer.launch({
  ...(settings.browser === 'firefox' ? firefox() : chromium()),
  acceptInsecureCerts: true,
  defaultViewport: { width: settings.width, height: settings.height },
});
const page = await browser.newPage();
const problems = [];
page.on('pageerror', (why) => problems.push(String(why)));
page.on('console', (line) => {
  if (line.type() === 'error') problems.push(line.text());
});
await page.evaluateOnNewDocument(`globalThis.probedTones = ${JSON.stringify(settings.tones)};`);
await page.evaluateOnNewDocument(probe);

const commands = {
  goto: ({ url }) => page.goto(url, { waitUntil: 'load' }).then(() => null),
  type: ({ selector, text }) => page.type(selector, text),
  click: ({ selector }) => page.click(selector),
  click_if_visible: async ({ selector }) => {
    const element = await page.$(selector);
    if (await element?.isVisible()) await element.click();
  },
  press: ({ key }) => page.keyboard.press(key),
  wait: ({ selector, within_ms }) =>
    page.waitForSelector(selector, { timeout: within_ms }).then(() => null),
  attribute: ({ selector, name }) =>
    page.evaluate((s, n) => document.querySelector(s)?.getAttribute(n) ?? null, selector, name),
  text: ({ selector }) =>
    page.evaluate((s) => document.querySelector(s)?.textContent ?? null, selector),
  evaluate: ({ script }) => page.evaluate(script),
  frames: () => page.evaluate(() => globalThis.probe.frames),
  listen: () => page.evaluate(() => globalThis.probe.listen()),
  heard: () => page.evaluate(() => globalThis.probe.heard()),
  tones: () => page.evaluate(() => globalThis.probe.tones),
  problems: () => problems,
  size: ({ width, height }) => page.setViewport({ width, height }),
  screenshot: ({ path: file }) => page.screenshot({ path: file }).then(() => null),
  axe: async () => {
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document));
    return found.violations.map(({ id, impact, help, nodes }) => ({
      id, impact, help, nodes: nodes.map((node) => node.target.join(' ')),
    }));
  },
  // As a person closes a tab: no code of the page runs on, its sockets close cleanly.
  close_tab: async () => {
    await browser.newPage();
    await page.close();
    return null;
  },
};

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
answer({ id: 0, value: await browser.version() });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.do === 'quit') break;
  try {
    const value = (await commands[command.do](command)) ?? null;
    answer({ id: command.id, value });
  } catch (why) {
    answer({ id: command.id, error: String(why) });
  }
}
await browser.close();
process.exit(0);
