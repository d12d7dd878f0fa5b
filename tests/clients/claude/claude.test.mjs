// Claude Code, headless, over models of three dialects: it asks, writes the file that the fake
// provider tells it to write, returns the result, and gets the last word.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { KEYED_URL, FAKE_URL, MASTER_KEY, TMPDIR, PATH } = process.env;
const claude = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules", ".bin", "claude");

function run(model, prompt, settings) {
  const home = mkdtempSync(join(TMPDIR, "claude-"));
  const work = join(home, "work");
  mkdirSync(work);
  const env = {
    PATH,
    HOME: home,
    TMPDIR: home,
    ANTHROPIC_BASE_URL: KEYED_URL,
    ANTHROPIC_AUTH_TOKEN: MASTER_KEY,
    ANTHROPIC_MODEL: model,
    ANTHROPIC_SMALL_FAST_MODEL: model,
    // Nothing is fetched and nothing is told to anyone else: the tests run without a network.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CODE_MAX_RETRIES: "0",
    NO_PROXY: "127.0.0.1",
    no_proxy: "127.0.0.1",
    ...settings,
  };
  const options = { cwd: work, env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 };
  const flags = ["--output-format", "stream-json", "--verbose", "--tools", "Write", "--permission-mode", "acceptEdits"];
  return new Promise((resolve) => {
    const child = spawn(claude, ["-p", ...flags, "--", prompt], options);
    let out = "";
    let errors = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("close", (status) => {
      const lines = out.split("\n").filter((line) => line.startsWith("{"));
      resolve({ status, errors, work, events: lines.map((line) => JSON.parse(line)) });
    });
  });
}

async function seen(marker) {
  return (await fetch(`${FAKE_URL}/_seen?marker=${marker}`)).json();
}

// A model that is not Anthropic's has no search for tools of its own: the client is told so, as its documents advise.
const plain = { ENABLE_TOOL_SEARCH: "false" };
const models = [
  ["claude-sonnet-4-5", {}],
  ["claude-opus-4-8", {}],
  ["openai-chat", plain],
  ["bridged-chat", plain],
  ["gemini-chat", plain],
];
for (const [model, settings] of models) {
  test(`Claude Code takes a turn with a tool [${model}]`, { timeout: 90_000 }, async () => {
    const marker = `marker-${model}-${Date.now()}`;
    const { status, errors, work, events } = await run(model, `What is here? ${marker}`, settings);
    const told = JSON.stringify(events) + errors;
    assert.equal(status, 0, told);
    // The value that the fake provider has for every text.
    assert.equal(readFileSync(join(work, "Paris"), "utf8"), "Paris", told);
    const result = events.find((event) => event.type === "result");
    assert.match(result.result, /^The tool said: .*File created/s, told);
    assert.equal(result.is_error, false, told);
    assert.ok(result.usage.input_tokens > 0 && result.usage.output_tokens > 0, told);
    const requests = await seen(marker);
    // The question and the result of the tool, each once: nothing was refused and asked again.
    assert.equal(requests.length, 2, JSON.stringify(requests.map((request) => request.body)));
    for (const request of requests) {
      assert.ok(!JSON.stringify(request.headers).includes(MASTER_KEY));
    }
  });
}
