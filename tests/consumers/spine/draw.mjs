// `node draw.mjs CASES.json`: draws each skeleton in headless Chromium with its runtime and holds the picture against the
// images; what was drawn is written beside the case as NAME.RUNTIME.png. The runtimes' own reading of the meshes is
// compared too, which for Spine 3.8 and DragonBones is where it happens.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { differences, picture, slots } from './expected.mjs';

// Of 255. Vertices are snapped to sixteenths of a pixel where WebGL is computed, so that the texture may be off by a
// thirty-second between two of them: 8 at the sharpest edge there is. Elsewhere there is only rounding.
const MOST = 8;
const MEAN = 0.5;

const file = path.resolve(process.argv[2]);
const folder = path.dirname(file);
const here = import.meta.dirname;
const text = (name) => readFileSync(path.join(folder, name), 'utf8');

// A site of files that leaves this process nowhere: modules, this folder and the cases.
async function serve(page) {
  await page.route('**/*', (route) => {
    const url = new URL(route.request().url());
    const name = decodeURIComponent(url.pathname).slice(1);
    if (url.hostname !== 'consumer.test') return route.abort();
    if (name === '') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><body></body>' });
    const root = name.startsWith('case/') ? folder : here;
    return route.fulfill({ path: path.join(root, name.replace(/^case\//, '')) });
  });
}

async function draw(browser, test) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => { if (message.type() === 'error') said.push(message.text()); });
  page.on('pageerror', (error) => said.push(String(error)));
  await serve(page);
  await page.goto('http://consumer.test/');
  const drawn = await page.evaluate(async (test) => {
    const { [test.runtime]: run } = await import('/runtimes.mjs');
    return run(test);
  }, test).catch((error) => ({ fault: String(error) }));
  if (drawn.fault) return { faults: [drawn.fault, ...said] };
  const images = await page.evaluate(async (parts) => {
    const { pixels } = await import('/runtimes.mjs');
    return Promise.all(parts.map(({ image }) => pixels(`/case/${image}`)));
  }, test.parts);
  await page.close();
  return { ...drawn, images, faults: said };
}

function compare(test, drawn) {
  const [width, height] = test.canvas;
  images(drawn);
  const { pixels, sure, covered } = picture(test, drawn.images);
  const bytes = Buffer.from(drawn.pixels, 'base64');
  let [most, sum, count, outside] = [0, 0, 0, 0];
  for (let at = 0; at < width * height; at++) {
    if (!sure[at]) continue;
    for (let c = 0; c < 4; c++) {
      const apart = Math.abs(bytes[at * 4 + c] - pixels[at * 4 + c]);
      if (covered[at]) {
        most = Math.max(most, apart);
        sum += apart;
      } else {
        outside = Math.max(outside, apart);
      }
    }
    count += covered[at];
  }
  return { most, mean: sum / Math.max(1, count * 4), count, outside };
}

function images(drawn) {
  drawn.images.forEach((image) => { image.data = Buffer.from(image.data, 'base64'); });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  // No graphics card is needed: WebGL is computed. Nothing is fetched.
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let failed = 0;
// Over an empty canvas the runtimes differ in what multiplying with nothing is.
const drawable = (test) => test.parts.every(({ blend = 'normal' }) => blend === 'normal');
for (const test of JSON.parse(text(path.basename(file))).filter(drawable)) {
  const drawn = await draw(browser, test);
  test.parts.forEach((part) => { part.mesh = JSON.parse(text(part.mesh)); });
  const { faults } = drawn;
  let told = '';
  if (drawn.pixels) {
    writeFileSync(path.join(folder, `${test.name}.${test.runtime}.png`), Buffer.from(drawn.png.split(',')[1], 'base64'));
    faults.push(...differences(drawn.slots, slots(test), 0.002));
    const { most, mean, count, outside } = compare(test, drawn);
    told = `${count} covered pixels differ by ${mean.toFixed(3)} in the mean, ${most.toFixed(1)} at most of 255; `;
    if (!(most <= MOST && mean <= MEAN && count > 0)) faults.push('the picture is not that of the images');
    if (!(outside <= MOST)) faults.push(`pixels outside of the meshes differ by ${outside.toFixed(1)}`);
  }
  console.log(`${test.name} with ${test.runtime}: ${told}${faults.join('; ') || 'equal'}`);
  failed += faults.length;
}
await browser.close();
process.exit(failed ? 1 : 0);
