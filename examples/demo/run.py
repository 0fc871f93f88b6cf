"""One whole maintenance cycle on two real applications, an emergency, and who was told: each question and its answer.

Run it with ``nox -s demo``; ``nox -s demo -- --serve`` leaves everything running.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import httpx
from notices import show, wait_for_notifiers, walk_notices
from servers import PLAIN, Demo, Shop, running
from walking import QUIESCE, Walk

from quiesce import EnhancedMaintenanceModeService, Outcome, Settings

BROWSER = {"Accept": "text/html"}


def walk_cycle(walk: Walk) -> None:
    """Walk open, normal, off, test."""
    demo = walk.demo
    walk.title("Open: nothing is refused")
    walk.everywhere("GET /items?", "GET", "/items", 200)
    walk.everywhere("POST /items?", "POST", "/items", 201)
    wait_for_notifiers(walk)

    walk.title("Normal maintenance, with a slow write in flight")
    finished: list[float] = []
    writers = [threading.Thread(target=_slow_write, args=(shop, finished)) for shop in demo.shops]
    for writer in writers:
        writer.start()
    time.sleep(1)  # let the slow writes get going
    code, _ = walk.quiesce("enable", "--reason", "Database upgrade", "--duration", "45m", "--wait", "20s")
    returned = time.monotonic()
    for writer in writers:
        writer.join()
    walk.expect("exit code: 0 means that the system is quiet", code, 0)
    in_time = [at for at in finished if at < returned]
    walk.expect("how many of the two slow writes had ended when that was said?", len(in_time), 2)
    walk.everywhere("POST /items by a visitor?", "POST", "/items", 503)
    walk.everywhere("POST /items by a signed-in user?", "POST", "/items", 503, who="user")
    walk.everywhere("POST /items by an admin?", "POST", "/items", 201, who="admin")
    walk.everywhere("GET /items?", "GET", "/items", 200)
    walk.seen_as("who is bob, who was signed in?", walk.users, "nobody")
    walk.log_in("may he log in?", walk.users, "bob", 503)
    walk.seen_as("who is the admin?", walk.admins, "root")
    for shop in demo.shops:
        refusal = walk.visitor.post(f"{shop.url}/items", headers=BROWSER)
        walk.expect(
            f"{shop.name}: does a browser get a page?", refusal.headers["content-type"], "text/html; charset=utf-8"
        )
        retry = int(refusal.headers["retry-after"])
        walk.expect(
            f"{shop.name}: Retry-After in minutes, from 45 to 50?", "yes" if 44 <= retry // 60 <= 50 else retry, "yes"
        )
    status = walk.visitor.get(f"{demo.shops[0].url}/api/maintenance/status").json()
    walk.expect("what does the status say?", (status["mode"], status["reason"]), ("normal", "Database upgrade"))
    code, _ = walk.quiesce("enable", "--reason", "Another upgrade")
    walk.expect("a second operator gets a conflict?", code, 5)

    walk.title("Off")
    walk.quiesce("disable")
    walk.everywhere("POST /items?", "POST", "/items", 201)
    walk.log_in("may bob log in again?", walk.users, "bob", 200)

    walk.title("Test: judges live traffic, refuses nothing")
    walk.quiesce("enable", "--mode", "test", "--reason", "Rehearsal")
    walk.everywhere("POST /items?", "POST", "/items", 201)
    walk.expect("how many would have been refused?", _would_be_refusals(demo, at_least=24), 24)
    walk.quiesce("disable")


def _slow_write(shop: Shop, finished: list[float]) -> None:
    response = httpx.post(f"{shop.url}/items?seconds=4", timeout=20, verify=PLAIN)
    if response.status_code == 201:
        finished.append(time.monotonic())


def _would_be_refusals(demo: Demo, *, at_least: int) -> int:
    """Return the count over all workers; they hand theirs in once a second."""
    service = EnhancedMaintenanceModeService(Settings(store_url=demo.environment["MAINTENANCE_STORE_URL"]))
    deadline = time.monotonic() + 10
    while True:
        counts = service.blocked_counts().items()
        total = sum(count for key, count in counts if key.outcome is Outcome.WOULD_BLOCK)
        if total >= at_least or time.monotonic() > deadline:
            service.close()
            return total
        time.sleep(0.05)


def serve(demo: Demo) -> None:
    """Leave everything running and say what to try."""
    print("\nStill running; end it with Ctrl-C. Try, in another terminal:\n")
    print(f"  export MAINTENANCE_STORE_URL={demo.environment['MAINTENANCE_STORE_URL']}")
    print(f"  {QUIESCE} enable --reason 'Trying it out' --wait 10s")
    for shop in demo.shops:
        print(f"  curl -i -X POST {shop.url}/items        # {shop.name}")
    print(f"  curl {demo.shops[0].url}/api/maintenance/status")
    print(f"  {QUIESCE} disable\n")
    print("What is sent is shown here:\n")
    seen = len(demo.box.arrivals)
    try:
        while True:
            time.sleep(0.5)
            arrived = demo.box.arrivals[seen:]
            seen += len(arrived)
            show(arrived)
    except KeyboardInterrupt:
        print("Ending.")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="leave everything running afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quiesce-demo-") as folder, running(Path(folder)) as demo:
        os.environ.update(demo.environment)  # for the work that is enqueued here
        from incident import walk_incident  # noqa: PLC0415 - it reads that environment

        walk = Walk(demo)
        walk_cycle(walk)
        walk_incident(walk)
        walk_notices(walk)
        print("\nThe whole cycle went as promised.")
        if options.serve:
            serve(demo)


if __name__ == "__main__":
    main()
