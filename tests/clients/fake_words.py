"""What both dialects of the fake provider share: refusals, replies, and values made from a JSON schema."""

import re

REPLY = re.compile(r"REPLY<<<(.*?)>>>", re.DOTALL)
# How a stream can break, and when: before the first word of the answer or after the second.
BREAKS = ("cut", "error", "stall")
MOMENTS = ("early", "late")
# The upstream models whose streams break as they are called.
BREAKING = {f"break-{how}-{moment}" for how in BREAKS for moment in MOMENTS}


class Refusal(Exception):
    """The fake provider's no: an HTTP status and the words of its error."""

    def __init__(self, status, message, headers=()):
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def require(condition, message):
    """Refuses the request with a 400 unless `condition` holds."""
    if not condition:
        raise Refusal(400, message)


def require_known_fields(body, known, wording):
    """Refuses a request with a field that the real service does not have."""
    for field in body:
        require(field in known, wording.format(field=field))


def reply_to(text):
    """The answer to a prompt: what it asks for, or an echo."""
    wanted = REPLY.findall(text)
    return wanted[-1] if wanted else f"You said: {text}"


def rest_of(answer, begun):
    """What is missing of an answer that the client has begun."""
    return answer.removeprefix(begun)


def pieces(text):
    """A text as a stream sends it: word by word."""
    return re.findall(r"\S+\s*|\s+", text)


def halves(text):
    """A text in two fragments, as the arguments of a streamed tool call arrive."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]]


def tokens_in(text):
    """A token count that is stable and good enough: words."""
    return max(1, len(text.split()))


def value_of(schema, definitions=None):
    """A value that satisfies a JSON schema: enough of the language for what the clients send."""
    definitions = definitions or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return value_of(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return value_of(schema[choice][0], definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: value_of(inner, definitions) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [value_of(schema.get("items", {"type": "string"}), definitions)]
    return {"string": "Paris", "integer": 7, "number": 2.5, "boolean": True, "null": None}[kind]
