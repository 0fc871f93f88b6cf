"""The contract of a store, as tests to subclass."""

from __future__ import annotations

from .store_commits import CommitContract
from .store_items import ItemContract
from .store_processes import ProcessContract
from .store_workers import WorkerContract


class StoreContract(CommitContract, WorkerContract, ItemContract, ProcessContract):
    """What every ``Store`` promises, one test a promise.

    Subclass it in a test module, and give it two pytest fixtures::

        class TestMyStore(StoreContract):
            @pytest.fixture
            def store(self):  # empty, not used by another test
                with contextlib.closing(MyStore(...)) as store:
                    yield store

            @pytest.fixture
            def reopen(self):  # makes another object on the same data, which the tests close
                return lambda: MyStore(...)

    Attributes:
        is_shared: whether other processes can use the same data; a store that is not gives ``reopen`` as
            ``lambda: store``.
        hears_commits: whether ``wait_for_change`` hears what another object commits.
    """

    is_shared: bool = True
    hears_commits: bool = False
