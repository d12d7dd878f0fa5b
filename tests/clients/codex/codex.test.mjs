// Codex, headless, over a provider with the Responses API and two without: it asks, runs the tool that the fake provider
// calls, returns the result, and gets the last word.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const { KEYED_URL, MASTER_KEY, TMPDIR, PATH } = process.env;
const codex = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules", ".bin", "codex");

function run(model, prompt) {
  const home = mkdtempSync(join(TMPDIR, "codex-"));
  const work = join(home, "work");
  mkdirSync(work);
  const config = [
    `model = "${model}"`,
    'model_provider = "gate"',
    'approval_policy = "never"',
    'sandbox_mode = "danger-full-access"',
    "[model_providers.gate]",
    'name = "Gate"',
    `base_url = "${KEYED_URL}/v1"`,
    'env_key = "GATE_KEY"',
    'wire_api = "responses"',
    "request_max_retries = 0",
    "stream_max_retries = 0",
  ];
  writeFileSync(join(home, "config.toml"), config.join("\n"));
  const env = { PATH, HOME: home, CODEX_HOME: home, GATE_KEY: MASTER_KEY, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" };
  const options = { cwd: work, env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 };
  return new Promise((resolve) => {
    const child = spawn(codex, ["exec", "--skip-git-repo-check", "--json", prompt], options);
    let out = "";
    let errors = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("close", (status) => {
      const lines = out.split("\n").filter((line) => line.startsWith("{"));
      resolve({ status, errors, events: lines.map((line) => JSON.parse(line)) });
    });
  });
}

for (const model of ["openai-chat", "bridged-chat", "anthropic-chat"]) {
  test(`Codex takes a turn with a tool [${model}]`, { timeout: 90_000 }, async () => {
    const { status, errors, events } = await run(model, "What is here?");
    const told = JSON.stringify(events);
    assert.equal(status, 0, told + errors);
    const said = events.filter((event) => event.item?.type === "agent_message").map((event) => event.item.text);
    assert.match(said.at(-1), /^The tool said: /, told);
    const completed = events.find((event) => event.type === "turn.completed");
    assert.ok(completed.usage.output_tokens > 0, told);
  });
}
