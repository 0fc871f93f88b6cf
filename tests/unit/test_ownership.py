"""Files that an operator makes before the application does."""

from __future__ import annotations

import os
from pathlib import Path

from quiesce import EnhancedMaintenanceModeService, Settings


def test_what_root_makes_first_belongs_to_whom_the_folder_belongs(tmp_path: Path) -> None:
    """An operator who types sudo must not lock the application out of its own store."""
    if os.geteuid() == 0:  # for anybody else it holds by itself
        os.chown(tmp_path, 12345, 12345)
    service = EnhancedMaintenanceModeService(Settings(store_url=f"sqlite:///{tmp_path / 'store.db'}"))

    service.enable(reason="work", actor="root")
    service.start()

    owners = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    service.close()
    assert {"store.db", "store.db-board", "store.db-board-bell"} <= set(owners)
    assert set(owners.values()) == {tmp_path.stat().st_uid}
