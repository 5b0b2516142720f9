"""How the labs' tools make a request, and what each way of failing says about the effect.

A tool owes the runtime one thing above all: to know whether a failure means "it did not happen" or "nobody knows".
Before the request is sent, every failure means that nothing happened. Afterwards only an answer tells, and where none
comes the tool raises Unknown, for the service may have done all of it.
"""

import json
import os
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from holdfast import Conflict, Denied, InvalidInput, NotFound, ToolFailure, Transient, Unavailable, Unknown

WORLD = "HOLDFAST_LAB_WORLD"
"""The environment variable with the directory in which the services wrote services.json."""

STORE = "HOLDFAST_LAB_STORE"
"""The environment variable with the store that the runs are in: where the other side brings what it owes."""

_REFUSALS: dict[int, type[ToolFailure]] = {
    400: InvalidInput,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    422: InvalidInput,
    503: Transient,
}


def services() -> dict[str, Any]:
    """Where the services listen: {http, smtp_host, smtp_port}. Unavailable where nobody says so."""
    directory = os.environ.get(WORLD)
    if directory is None:
        raise Unavailable(f"{WORLD} is not set; it names the directory of the lab's services")
    try:
        found: dict[str, Any] = json.loads((Path(directory) / "services.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"the lab's services are not there: {error}") from error
    return found


def store() -> str:
    """The store to which a result is to be brought, as an absolute path. Unavailable where nobody says so."""
    path = os.environ.get(STORE)
    if path is None:
        raise Unavailable(f"{STORE} is not set; it names the store that results are brought to")
    return path


def send(method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None, timeout_seconds: float) -> Any:
    """Make a request that may change the world; returns the JSON of a 2xx answer.

    Raises the failure that a refusal stands for, Transient where nothing was sent, and Unknown where the request went
    out and no answer came: a time-out, a broken connection, or an answer that does not say what was done.
    """
    connection = _connect(timeout_seconds)
    try:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return _content(response, response.read())
    except TimeoutError as error:
        raise Unknown(f"{method} {path} went out, and no answer came within {timeout_seconds:g} s") from error
    except (OSError, HTTPException) as error:
        raise Unknown(f"{method} {path} went out, and the connection broke: {type(error).__name__}") from error
    finally:
        connection.close()


def look(path: str, query: dict[str, str], *, timeout_seconds: float = 2.0) -> Any:
    """Make a request that changes nothing, as a probe does. Whatever goes wrong is raised as a failure."""
    try:
        return send("GET", f"{path}?{urlencode(query)}", timeout_seconds=timeout_seconds)
    except Unknown as error:
        raise Transient(str(error)) from error


def page(path: str, *, timeout_seconds: float = 2.0) -> bytes:
    """The bytes of a page. Whatever goes wrong is raised as a failure."""
    connection = _connect(timeout_seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise Transient(f"GET {path}: no answer came: {type(error).__name__}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise _REFUSALS.get(response.status, Transient)(f"{response.status} for {path}")
    return body


def _connect(timeout_seconds: float) -> HTTPConnection:
    """Connected, and nothing sent yet. Not urllib.request: it would ask a proxy for a loopback address."""
    connection = HTTPConnection(urlsplit(services()["http"]).netloc, timeout=timeout_seconds)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise Transient(f"the service cannot be reached: {error}") from error
    return connection


def _content(response: HTTPResponse, body: bytes) -> Any:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise Unknown(f"the answer {response.status} is not JSON") from error
    if 200 <= response.status < 300:
        return content
    said = str(content.get("error", "")) if isinstance(content, dict) else ""
    if response.status not in _REFUSALS:
        # A 500 may come before the effect or after it.
        raise Unknown(f"{response.status} {said}".strip())
    raise _REFUSALS[response.status](f"{response.status} {said}".strip())
