"""The worst hour: people are logged out, jobs are ended, and afterwards everything is accounted for."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from walking import Walk
from work import FOLDER, app, history, send_newsletter

JOBS = ("report", "newsletter")
"""One of RQ, one of Celery."""


def walk_incident(walk: Walk) -> None:
    """Begin an emergency over HTTP while jobs run and people are signed in; end it by its checklist; report."""
    walk.title("Two jobs run, and people are signed in")
    _begin_jobs(walk)
    walk.seen_as("who is bob?", walk.users, "bob")
    _, sessions = walk.quiesce("sessions", "stats")
    walk.expect("were sessions seen?", (sessions["stats"]["users"] or 0) > 0, expected=True)

    walk.title("Emergency, over HTTP")
    window = _begin_emergency(walk)
    walk.everywhere("GET /items?", "GET", "/items", 503)
    walk.everywhere("GET /items by an admin?", "GET", "/items", 200, who="admin")
    walk.everywhere("is the health check still green?", "GET", "/api/health/maintenance", 200)
    walk.log_in("may bob log in?", walk.users, "bob", 503)
    walk.expect_soon("what came of the steps?", lambda: _steps(walk), _ALL_DONE)
    _, jobs = walk.quiesce("jobs", "list", "--window", window)
    fates = sorted((entry["source"], entry["fate"]) for entry in jobs["ledger"])
    walk.expect("what became of the jobs?", fates, [("celery", "terminated"), ("rq", "terminated")])

    walk.title("Its end is checked")
    code, _ = walk.quiesce("recover")
    walk.expect("is it ended although nobody says that the threat is gone?", code, 5)
    code, _ = walk.quiesce("recover", "--threat-resolved", "Keys replaced", "--ledger-reviewed")
    walk.expect("and when somebody does?", code, 0)
    walk.everywhere("GET /items?", "GET", "/items", 200)
    walk.seen_as("who is bob now?", walk.users, "nobody")
    walk.seen_as("and root?", walk.admins, "root")
    walk.log_in("may bob log in?", walk.users, "bob", 200)

    walk.title("The jobs are put back, each once")
    (FOLDER / "enough").touch()
    _, restored = walk.quiesce("jobs", "restore", window, "--yes")
    walk.expect("how many?", len(restored["restored"]), 2)
    walk.quiesce("jobs", "restore", window, "--yes")
    for name in JOBS:
        walk.expect_soon(f"the {name}?", lambda name=name: history(name), ["began", "began", "ended"])  # type: ignore[misc] # bound now

    walk.title("The report")
    _, answer = walk.quiesce("report", window)
    report: dict[str, Any] = answer["report"]
    walk.expect("whose was it?", report["owner"], "admin-token")
    walk.expect("were requests refused?", report["totals"]["refused"] > 0, expected=True)
    walk.expect("and the jobs?", report["job_fates"], {"terminated": 2})
    walk.expect("what failed? the first recovery, in two lines", len(report["failures"]), 2)
    walk.quiesce("sessions", "end", "--user", "bob")
    walk.seen_as("who is bob, when only his sessions are ended?", walk.users, "nobody")


_ALL_DONE = {
    **dict.fromkeys(("block", "sessions", "jobs", "websockets", "logging", "notifications"), "done"),
}


def _begin_jobs(walk: Walk) -> None:
    redis = Redis.from_url(walk.demo.environment["DEMO_REDIS_URL"], socket_timeout=5)
    Queue(connection=redis).enqueue("work.work_on", JOBS[0])
    with app.connection_for_write() as connection:
        send_newsletter.apply_async((JOBS[1],), connection=connection)
    redis.close()
    for name in JOBS:
        walk.expect_soon(f"the {name}?", lambda name=name: history(name), ["began"])  # type: ignore[misc] # bound now


def _begin_emergency(walk: Walk) -> str:
    url = f"{walk.demo.shops[1].url}/api/maintenance/emergency"
    order = {"reason": "Security incident"}
    authorised = {"Authorization": f"Bearer {walk.demo.token}"}
    walk.expect("without the token?", walk.visitor.post(url, json=order).status_code, 401)
    once = walk.visitor.post(url, json=order, headers=authorised)
    walk.expect("with the token, but without a second proof?", once.status_code, 401)
    twice = walk.visitor.post(url, json=order | {"proof": walk.demo.token}, headers=authorised)
    walk.expect("with both?", twice.status_code, 202)
    return str(twice.json()["window"]["id"])


def _steps(walk: Walk) -> dict[str, str]:
    url = f"{walk.demo.shops[0].url}/api/maintenance/emergency"
    answer = walk.visitor.get(url, headers={"Authorization": f"Bearer {walk.demo.token}"}).json()
    return {step["name"]: step["status"] for step in answer["emergency"]["steps"]}
