// The current OpenAI SDK for Node: chat, streams, tools, structured output, embeddings, errors by class.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const { KEYED_URL, MASTER_KEY, OPEN_URL, FAKE_URL } = process.env;
const client = new OpenAI({ baseURL: KEYED_URL, apiKey: MASTER_KEY, maxRetries: 0, timeout: 20_000 });
const models = ["openai-chat", "anthropic-chat"];
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const Trip = z.object({ city: z.string(), days: z.number().int() });

const ask = (content) => [{ role: "user", content }];
const newMarker = () => `marker-${randomUUID()}`;

for (const model of models) {
  test(`a chat is answered [${model}]`, async () => {
    const marker = newMarker();
    const answer = await client.chat.completions.create({ model, messages: ask(marker) });
    assert.equal(answer.choices[0].message.content, `You said: ${marker}`);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.total_tokens > 0);
  });

  test(`a stream says the same as the whole answer [${model}]`, async () => {
    const marker = `${newMarker()} – ünï 🙂`;
    const stream = await client.chat.completions.create({ model, messages: ask(marker), stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    assert.equal(text, `You said: ${marker}`);
  });

  test(`the stream helper assembles the answer and its usage [${model}]`, async () => {
    const marker = newMarker();
    const options = { model, messages: ask(marker), stream_options: { include_usage: true } };
    const stream = client.chat.completions.stream(options);
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, `You said: ${marker}`);
    assert.ok(final.usage.completion_tokens > 0);
  });

  test(`a stream can be left in the middle [${model}]`, async () => {
    const words = Array.from({ length: 200 }, (_, number) => `word${number}`).join(" ");
    const stream = await client.chat.completions.create({ model, messages: ask(words), stream: true });
    let chunks = 0;
    for await (const _chunk of stream) {
      chunks += 1;
      if (chunks === 3) break;
    }
    const answer = await client.chat.completions.create({ model, messages: ask("still there?") });
    assert.equal(answer.choices[0].message.content, "You said: still there?");
  });

  test(`the tool runner comes to the final answer [${model}]`, async () => {
    const runner = client.chat.completions.runTools({
      model,
      messages: ask(newMarker()),
      tools: [
        {
          type: "function",
          function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` },
        },
      ],
    });
    assert.equal(await runner.finalContent(), "The tool said: rain in Paris");
  });

  test(`streamed tool calls assemble into valid arguments [${model}]`, async () => {
    const stream = client.chat.completions.stream({ model, messages: ask(newMarker()), tools: [weather] });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "tool_calls");
    const [call] = final.choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  });

  test(`parse returns a typed object [${model}]`, async () => {
    const format = zodResponseFormat(Trip, "trip");
    const answer = await client.chat.completions.parse({ model, messages: ask(newMarker()), response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Paris", days: 7 });
  });
}

for (const dialect of ["openai", "anthropic"]) {
  const expected = {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    403: OpenAI.PermissionDeniedError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
  };
  for (const [status, kind] of Object.entries(expected)) {
    test(`a provider's ${status} keeps its class [${dialect}]`, async () => {
      const call = client.chat.completions.create({ model: `${dialect}-fail-${status}`, messages: ask("hello") });
      await assert.rejects(call, (error) => error instanceof kind && error.message.includes(`fail with ${status}`));
    });
  }

  test(`a client's timeout is a connection timeout error [${dialect}]`, async () => {
    const call = client.chat.completions.create({ model: `${dialect}-slow`, messages: ask("hello") }, { timeout: 500 });
    await assert.rejects(call, (error) => error instanceof OpenAI.APIConnectionTimeoutError);
  });
}

test("a wrong key is an authentication error", async () => {
  const stranger = new OpenAI({ baseURL: KEYED_URL, apiKey: "sk-wrong", maxRetries: 0 });
  const call = stranger.chat.completions.create({ model: "openai-chat", messages: ask("hello") });
  await assert.rejects(call, (error) => error instanceof OpenAI.AuthenticationError);
});

test("an embedding comes back as floats", async () => {
  const answer = await client.embeddings.create({ model: "embedder", input: ["hello"] });
  assert.deepEqual(answer.data[0].embedding, [5, 0, 0.25]);
});

test("the models are listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  for (const model of models) assert.ok(names.includes(model), `${model} is missing from ${names}`);
});

test("any key is accepted when no master key is set, and the provider never sees it", async () => {
  const marker = newMarker();
  const stranger = new OpenAI({ baseURL: `${OPEN_URL}/v1`, apiKey: "anything", maxRetries: 0 });
  await stranger.chat.completions.create({ model: "gpt-3.5-turbo", messages: ask(marker) });
  const seen = await (await fetch(`${FAKE_URL}/_seen?marker=${marker}`)).json();
  assert.equal(seen.length, 1);
  assert.ok(!JSON.stringify(seen[0].headers).includes("anything"));
});

// The Responses API, over a provider that has it and two that have not.
const weatherTool = { type: "function", name: "weather", strict: true, parameters: weather.function.parameters };

for (const model of ["openai-chat", "bridged-chat", "anthropic-chat"]) {
  test(`a response is whole, and goes on [${model}]`, async () => {
    const marker = newMarker();
    const first = await client.responses.create({ model, input: marker });
    assert.equal(first.output_text, `You said: ${marker}`);
    assert.equal(first.usage.input_tokens_details.cached_tokens, 0);
    const second = await client.responses.create({ model, input: "REPLY<<<yes>>>", previous_response_id: first.id });
    assert.equal(second.output_text, "yes");
    assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
    await client.responses.delete(first.id);
    await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
  });

  test(`a streamed response is assembled [${model}]`, async () => {
    const marker = `${newMarker()} – ünï 🙂`;
    const stream = client.responses.stream({ model, input: marker });
    let text = "";
    stream.on("response.output_text.delta", (event) => (text += event.delta));
    const final = await stream.finalResponse();
    assert.equal(text, `You said: ${marker}`);
    assert.equal(final.output_text, text);
    assert.equal(final.status, "completed");
  });

  test(`a streamed response calls a function [${model}]`, async () => {
    const stream = await client.responses.create({ model, input: newMarker(), tools: [weatherTool], stream: true });
    let fragments = "";
    let call;
    for await (const event of stream) {
      if (event.type === "response.function_call_arguments.delta") fragments += event.delta;
      if (event.type === "response.output_item.done") call = event.item;
    }
    assert.equal(call.name, "weather");
    assert.equal(call.arguments, fragments);
    assert.deepEqual(JSON.parse(fragments), { city: "Paris" });
  });

  test(`a response is parsed by its schema [${model}]`, async () => {
    const text = { format: zodTextFormat(Trip, "trip") };
    const answer = await client.responses.parse({ model, input: newMarker(), text });
    assert.deepEqual(answer.output_parsed, { city: "Paris", days: 7 });
  });
}
