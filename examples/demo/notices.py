"""Who was told: what arrived at the mail server and at the webhook's receiver, and whether all of it is right."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
from receivers import Arrival
from walking import Walk

TOLD = {"email": 0, "webhook": 0}
"""Of each notifier, how much waits."""
MODES = ("normal", "test", "emergency")
"""Of the windows of the walk, in order."""


def wait_for_notifiers(walk: Walk) -> None:
    """Wait until both have their place in what happens; what happened before it is not told."""
    walk.expect_soon("how many notices wait to be sent?", lambda: _waiting(walk), TOLD)


def walk_notices(walk: Walk) -> None:
    """Print every message that arrived, check them, then the audit trail, and that nothing is left to send."""
    walk.title("Who was told")
    wait_for_notifiers(walk)
    arrivals = list(walk.demo.box.arrivals)
    show(arrivals)
    mails, webhooks = (_from(arrivals, receiver) for receiver in ("mail", "webhook"))
    for name, messages, answers in (("mail", mails, [451, 250]), ("webhook", webhooks, [503, 204])):
        again = [
            each.answer for each in messages if each.id == messages[0].id and each.audience == messages[0].audience
        ]
        walk.expect(f"{name}: was the first put off, and sent again with the same id?", again[:2], answers)
    walk.expect("did every signature hold?", {each.signature for each in webhooks}, {"held"})

    told = [f"maintenance.{kind} {mode}" for mode in MODES for kind in ("started", "ended")]
    walk.expect("webhook: each start and end once, and in order?", _starts_and_ends(webhooks) == told, expected=True)
    subjects = [
        f"{'[TEST] ' if mode == 'test' else ''}default: {mode} maintenance has {verb}"
        for mode in MODES
        for verb in ("started", "ended")
    ]
    operators, users = ([each for each in mails if each.audience == audience] for audience in ("operators", "users"))
    walk.expect("mail to operators: the same?", _starts_and_ends(operators) == subjects, expected=True)
    of_no_test = [subject for subject in subjects if "[TEST]" not in subject]
    walk.expect("mail to users: the same without the test?", _starts_and_ends(users) == of_no_test, expected=True)
    of_test = sorted({(each.receiver, each.audience) for each in arrivals if "test" in each.subject.split()})
    walk.expect("who was told of the test window?", of_test, [("mail", "operators"), ("webhook", "operators")])
    marked = all(each.is_test == ("test" in each.subject.split()) for each in arrivals)
    walk.expect("are its notices marked as a test, and no others?", marked, expected=True)
    walk.expect("for whom was the emergency's start?", _audiences(arrivals, "emergency", "started"), _EVERYBODY)
    forged = httpx.post(walk.demo.box.settings["MAINTENANCE_WEBHOOK_URL"], json={}, trust_env=False)
    walk.expect("does the receiver take what nobody has signed?", forged.status_code, 401)

    walk.title("Nothing is missing, and nothing is left to do")
    _, trail = walk.quiesce("audit", "verify")
    walk.expect("the audit trail?", trail["verdict"], "intact")
    _, answer = walk.quiesce("notifications", "list")
    walk.expect("how many notices wait?", {each["name"]: each["waiting"] for each in answer["notifiers"]}, TOLD)
    walk.expect("how many were given up?", sum(len(each["dead"]) for each in answer["notifiers"]), 0)


_EVERYBODY = ["everyone", "operators", "users"]
"""A webhook gets one notice for everyone, mail goes to each on its own."""


def show(arrivals: Iterable[Arrival]) -> None:
    """Print a line for each message."""
    for each in arrivals:
        signature = "" if each.signature == "-" else f"  signature {each.signature}"
        print(f"   {each.receiver:<8}{each.answer} {each.audience:<10}{each.subject:<48} {each.id}{signature}")


def _waiting(walk: Walk) -> dict[str, int | None]:
    url = f"{walk.demo.shops[0].url}/api/maintenance/notifications"
    answer = walk.visitor.get(url, headers={"Authorization": f"Bearer {walk.demo.token}"}).json()
    return {each["name"]: each["waiting"] for each in answer["notifiers"]}


def _from(arrivals: Iterable[Arrival], receiver: str) -> list[Arrival]:
    return [each for each in arrivals if each.receiver == receiver]


def _starts_and_ends(messages: Iterable[Arrival]) -> list[str]:
    """Return their subjects, as a receiver sees them that drops repeats."""
    once = {each.id: each.subject for each in messages}
    return [subject for subject in once.values() if "started" in subject or "ended" in subject]


def _audiences(arrivals: Iterable[Arrival], *words: str) -> list[str]:
    return sorted({each.audience for each in arrivals if all(word in each.subject for word in words)})
