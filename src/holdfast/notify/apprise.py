"""Everything else: chats, pagers and phones, through the library Apprise (`pip install 'holdfast[notify]'`)."""

from __future__ import annotations

from importlib.util import find_spec

from holdfast.errors import UsageError
from holdfast.journal.people import Notice, Person
from holdfast.notify import text
from holdfast.notify.base import NotifyError
from holdfast.notify.threads import Wire, in_thread

EXTRA = "pip install 'holdfast[notify]'"


class Apprise:
    """Tells all that these URLs stand for, whoever is meant: a URL of Apprise names a room, not a person.

    urls: see the list of Apprise. They are told together: where one of them fails all are told again, so give each a channel of
    its own where that matters. UsageError where the library is not installed.
    """

    def __init__(self, *urls: str, name: str = "apprise", timeout_seconds: float = 30.0):
        if not urls:
            raise UsageError("a channel of Apprise needs a URL", hint="give one, such as mailto://… or slack://…")
        if find_spec("apprise") is None:
            raise UsageError("the library Apprise is not installed", hint=EXTRA)
        self.name = name
        self._urls = urls
        self._timeout_seconds = timeout_seconds

    async def send(self, notice: Notice, to: tuple[Person, ...]) -> None:
        """See `Channel.send`."""
        await in_thread(lambda wire: self._tell(notice, wire), self._timeout_seconds)

    def _tell(self, notice: Notice, wire: Wire) -> None:
        # Here, because importing it takes a while, and `import holdfast` must not.
        import apprise

        told = apprise.Apprise()
        for number, url in enumerate(self._urls, 1):
            # Which one is said by its place: a URL has secrets in it.
            if not told.add(url):
                raise NotifyError(f"URL {number} of {len(self._urls)} is none that Apprise knows", transient=False)
        if not told.notify(title=text.subject(notice), body=text.text(notice), body_format=apprise.NotifyFormat.TEXT):
            raise NotifyError("Apprise could not tell all of them")
