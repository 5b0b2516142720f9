"""A provider of models on loopback: real HTTP in the formats of Anthropic and OpenAI, answered from a script, with faults.

    with ModelServer([call("search", query="trains"), "Take the IC 7."]) as server:
        ...                                       # a client of Anthropic at server.url, of OpenAI at server.openai_url
        server.queue("rate_limited", "overloaded")          # what the next two requests meet
    assert server.hits == {"rate_limited": 1, "overloaded": 1, "answered": 2}
    assert server.refusals == []                  # nothing that the real provider would not have taken

It speaks `POST /v1/messages` (Anthropic Messages), `POST /v1/chat/completions` and `POST /v1/responses` (OpenAI), whole and as
streams. One script serves all three: a request is put into the neutral form, the script is asked, and its answer is put into
the format of the request. Requests are checked as strictly as the providers do: calls without results, tools without a name
that is allowed, schemas that are no objects, a missing `max_tokens` and their like are answered with 400 in the provider's words.

For processes that are to be killed it runs in one of its own. When it listens it prints one line of JSON: its `url`, and the
`environment` with which the clients of another process find it.

    python -m holdfast.testing.models.server --script shop.scripts:traveller --port 0

There `GET /control` tells what was asked, and `POST /control` with `{"faults": ["overloaded"]}` queues faults.
"""

from holdfast.testing.models.server.listening import ModelServer as ModelServer
from holdfast.testing.models.server.listening import Seen as Seen
