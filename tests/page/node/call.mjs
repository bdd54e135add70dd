// Run scripts on the page's modules: a line of JSON in, a line of JSON out.
import { createInterface } from "node:readline";

// What modules need of a browser when they are loaded.
globalThis.sessionStorage = { getItem: () => null, setItem() {}, removeItem() {} };
const AsyncFunction = (async () => {}).constructor;
const folder = process.argv[2];
for await (const line of createInterface({ input: process.stdin })) {
  const { module, script, given } = JSON.parse(line);
  let answer;
  try {
    const loaded = await import(`${folder}/${module}`);
    answer = { value: (await new AsyncFunction("module", "given", script)(loaded, given)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  console.log(JSON.stringify(answer));
}
