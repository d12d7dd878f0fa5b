"""guidance 0.0.64, the last with `guidance.llms`, against a gateway started with `--drop_params`."""

import guidance
import openai

EXPERTS = """
{{#system~}}
You are a helpful and terse assistant.
{{~/system}}

{{#user~}}
I want a response to the following question:
{{query}}
{{~/user}}

{{#assistant~}}
{{gen 'expert_names' temperature=0 max_tokens=300}}
{{~/assistant}}
"""


def test_the_seeds_program_runs_to_its_end(drop_url, marker, seen):
    model = guidance.llms.OpenAI("gpt-4", api_base=drop_url, api_key="anything", caching=False)
    result = guidance(EXPERTS, llm=model, silent=True)(query=f"REPLY<<<three experts>>> {marker}")
    assert result["expert_names"] == "three experts"
    [request] = seen()
    assert request["path"] == "/anthropic/v1/messages"
    assert request["body"]["max_tokens"] == 300
    # What Anthropic has no word for is left out; what it has, is translated.
    assert not {"n", "logit_bias", "stop", "presence_penalty"} & request["body"].keys()


def test_parameters_that_the_provider_lacks_are_dropped(drop_url, marker, seen):
    answer = openai.ChatCompletion.create(
        model="gpt-4",
        messages=[{"role": "user", "content": marker}],
        api_base=drop_url,
        api_key="anything",
        logit_bias={"50256": -100},
        presence_penalty=0.5,
        frequency_penalty=0.5,
        seed=3,
        n=1,
    )
    assert answer["choices"][0]["message"]["content"] == f"You said: {marker}"
    [request] = seen()
    known = {"model", "messages", "max_tokens", "temperature", "stop_sequences", "system", "stream"}
    assert request["body"].keys() <= known
    # The defaults of the command line: `--temperature 0.3 --max_tokens 2048`.
    assert request["body"]["temperature"] == 0.3
    assert request["body"]["max_tokens"] == 2048


def test_stop_sequences_as_guidance_sends_them_do_not_fail_the_call(drop_url, marker):
    # The seed names this parameter; the version tested above does not send it, so it is sent here by hand.
    answer = openai.ChatCompletion.create(
        model="gpt-4",
        messages=[{"role": "user", "content": marker}],
        api_base=drop_url,
        api_key="anything",
        stop_sequences=["\n\n"],
    )
    assert answer["choices"][0]["message"]["content"] == f"You said: {marker}"
