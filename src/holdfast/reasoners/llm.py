"""Asks the real models, through the provider library: any provider that it knows, as `provider:name`.

Importing this module loads nothing of the library; the first request does, in a thread, for it takes a second or two. One
request is sent for each that is asked for: the retries of the vendors' clients are off, for ours are written down first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from holdfast.reasoners.model import Answer, Listener, ModelFailure, Request

if TYPE_CHECKING:
    from holdfast.reasoners.llm_wire import Wire

EXTRA = "the provider library is not installed; pip install 'holdfast[models]'"


# A generator that nobody holds is closed when it is collected, which for the last ones is too late.
_HELD: set[AsyncGenerator[None]] = set()


class ProviderModel:
    """Answers requests through the real providers.

    base_urls: by provider (`anthropic`, `openai` …), where a gateway or a test server stands in for it. api_keys: likewise.
    Without them the environment variables of the vendors hold (ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, OPENAI_API_KEY …).

    The clients of an event loop are kept between requests. They are closed by `aclose`, or when the event loop ends.
    """

    def __init__(self, *, base_urls: Mapping[str, str] | None = None, api_keys: Mapping[str, str] | None = None):
        self._base_urls = dict(base_urls or {})
        self._api_keys = dict(api_keys or {})
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = WeakKeyDictionary()

    async def answer(self, request: Request, listener: Listener | None = None) -> Answer:
        """The answer, or ModelFailure. With a listener the answer is streamed."""
        wire = await self._session().connect(request.model)
        return await wire.ask(request, listener)

    async def connect(self, model: str) -> None:
        """Make ready for requests to a model, and make none. ModelFailure where there is no such provider, or no key for it;
        whether the provider has the model, and takes the key, only a request tells."""
        await self._session().connect(model)

    async def aclose(self) -> None:
        """Close the connections of this event loop. A later request opens new ones."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def _session(self) -> _Session:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = _Session(self._base_urls, self._api_keys)
        return session


class _Session:
    """What is kept for one event loop."""

    def __init__(self, base_urls: Mapping[str, str], api_keys: Mapping[str, str]):
        self._base_urls = base_urls
        self._api_keys = api_keys
        self._lock = asyncio.Lock()
        self._wire: Wire | None = None
        self._held: AsyncGenerator[None] | None = None

    async def connect(self, model: str) -> Wire:
        if self._wire is not None and self._wire.knows(model):
            return self._wire
        async with self._lock:
            if self._wire is None:
                self._wire = await asyncio.to_thread(_wire, self._base_urls, self._api_keys)
                self._held = self._hold(self._wire)
                _HELD.add(self._held)
                await anext(self._held)
            if not self._wire.knows(model):
                await asyncio.to_thread(self._wire.connect, model)
                await self._wire.enter()
            return self._wire

    async def close(self) -> None:
        held, self._held, self._wire = self._held, None, None
        if held is not None:
            await held.aclose()

    async def _hold(self, wire: Wire) -> AsyncGenerator[None]:
        """Closes the clients when the event loop ends, where nobody did before: `asyncio.run` closes all asynchronous
        generators while its loop still runs."""
        held = self._held
        try:
            yield
        finally:
            if held is not None:
                _HELD.discard(held)
            await wire.close()


def _wire(base_urls: Mapping[str, str], api_keys: Mapping[str, str]) -> Wire:
    try:
        from holdfast.reasoners.llm_wire import Wire
    except ImportError as error:
        raise ModelFailure("not_found", EXTRA) from error
    return Wire(base_urls, api_keys)
