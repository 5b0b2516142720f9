"""Which labs there are, and how one is run."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from holdfast.errors import UsageError

LABS: Mapping[str, str] = {
    "approvals": "two thousand payouts and ten people: what becomes of their judgement, under three policies",
    "drift": "a trip is booked while the price moves, the goal changes, and what is remembered of the guest is wrong",
    "flight": "a flight is booked from half a sentence: guesses, a correction, a seat that is gone, a person who decides",
    "forty_seven": "a follow-up agent is woken 47 times before its mail shows anywhere, and mails once",
    "morning_after": "a settlement fails at night: it is explained, walked again and forked, and nobody is paid twice",
    "news": "three stories are summarised, from pages of which one gives orders, and a judge looks them up",
    "onboarding": "new hires get mailbox, VPN, laptop and mail while services fail and the worker is killed",
    "payment": "one transfer through each of three gateways, with the worker killed before it is recorded",
    "runaway": "a model that repeats itself, one that never has enough, one that re-plans for ever, one that spends",
    "second_run": "somebody comes back after a week: nothing is asked twice, and what is too old is looked up again",
    "silent": "a travel desk where everything completes, ten things that are wrong all the same, and the monitors that see them",
    "weekend": "a getaway with no flights, no room in the first town and nothing to do; then it is cancelled",
}
"""Each lab and its story in a line."""

WITH_MODEL = frozenset({"drift", "flight", "morning_after", "news", "runaway", "second_run", "weekend"})
"""The labs whose agents can ask a model: their drivers take `model`."""


def run_lab(
    name: str,
    *,
    directory: Path | None = None,
    seed: int = 7,
    keep: bool = False,
    said: str | None = None,
    model: str | None = None,
    out: Path | None = None,
) -> int:
    """Run a lab and print what happens; 0 when the world is as it must be, else 1.

    directory: for its store, its files and the services' ledger; a new temporary one by default. seed: who meets which
    fault, and where the worker is killed. keep: leave a temporary directory there in any case; without it, it stays only
    where something went wrong or a run in it waits for a person. said: for `payment`, what the person says at the
    gateway that cannot be asked; see `holdfast.labs.payment.driver.WORDS`. model: what is asked in place of the scripts, as
    `provider:name`; `scripted` for the scripts, where a lab follows a plan file by default. out: for `approvals`, the file that
    its chart is drawn to, as SVG.

    Raises UsageError for a lab that is not there, a directory that has been used, a word that the lab does not know, a
    model that cannot be asked here, or a file that cannot be written.
    """
    if name not in LABS:
        raise UsageError(f"there is no lab {name}", hint=f"there are {', '.join(LABS)}")
    if said is not None and name != "payment":
        raise UsageError(f"nobody says anything in the lab {name}", hint="--said is for payment")
    if model is not None and name not in WITH_MODEL:
        raise UsageError(f"no model is asked in the lab {name}", hint=f"--model is for {', '.join(sorted(WITH_MODEL))}")
    if out is not None and name != "approvals":
        raise UsageError(f"nothing is drawn in the lab {name}", hint="--out is for approvals")
    given = {"said": said, "model": model, "out": out}
    # By name, so that asking for the list does not load every lab.
    driver = importlib.import_module(f"holdfast.labs.{name}.driver")
    words = {word: value for word, value in given.items() if value is not None}
    return int(driver.run(directory=directory, seed=seed, keep=keep, **words))
