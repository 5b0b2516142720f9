"""Who may decide what."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.inbox.who import Speaker, has_say, may_decide, speaker_of
from holdfast.journal.people import Person


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """As far as it says for whom it is."""

    who: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ()


ANN = Speaker(name="ann", roles=("clerk",))


@pytest.mark.parametrize(
    ("who", "speaker", "may"),
    [
        ((), ANN, True),
        (("clerk",), ANN, True),
        (("ann",), ANN, True),
        (("chief", "clerk"), ANN, True),
        (("chief",), ANN, False),
        (("anna",), ANN, False),
        ((), Speaker(name="eve", known=False), False),
        (("eve",), Speaker(name="eve", known=False), False),
        ((), Speaker(name="ann", tenants=("acme",)), True),
        ((), Speaker(name="ann", tenants=("other",)), False),
    ],
)
def test_a_question_is_for_its_roles_and_people_and_for_all_who_are_known_where_it_names_none(
    who: tuple[str, ...], speaker: Speaker, may: bool
) -> None:
    """Whoever is not known decides nothing, and nobody decides for a tenant that is not theirs."""
    asked = Question(who=who)
    assert (may_decide(asked, (), speaker, "acme") is None) is may
    assert (has_say(asked, speaker, "acme") is None) is may


def test_nobody_is_asked_again_what_they_refused_or_approved() -> None:
    """A second opinion is somebody else's; what they did by hand they may still say."""
    refused = may_decide(Question(not_by=("ann",)), (), ANN, "")
    approved = may_decide(Question(), ("bob", "ann"), ANN, "")
    assert refused is not None and "refused the same before" in refused
    assert approved is not None and "approved it already" in approved
    assert may_decide(Question(not_by=("bob",)), ("bob",), ANN, "") is None
    assert has_say(Question(not_by=("ann",)), ANN, "") is None


def test_everybody_is_known_where_the_directory_is_empty_and_nobody_has_a_role() -> None:
    """So the smallest installation can be used; a question that names a role waits for one who has that name."""
    assert speaker_of([], "ann") == Speaker(name="ann")
    people = [Person(name="ann", roles=("clerk",), tenants=("acme",)), Person(name="bob")]
    assert speaker_of(people, "ann") == Speaker(name="ann", roles=("clerk",), tenants=("acme",))
    assert speaker_of(people, "eve") == Speaker(name="eve", known=False)
    assert may_decide(Question(who=("chief",)), (), speaker_of([], "ann"), "") is not None
