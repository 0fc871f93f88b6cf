"""Store addresses: what each opens, and what wrong ones say."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.model import InvalidValueError, StoreURLError
from quiesce.stores import Store, mounts, open_store
from quiesce.stores.memory import MemoryStore
from quiesce.stores.redis_address import RedisAddress, parse_address

SECRET = "s3cr3t"


class OnePlugin:
    """Knows one scheme, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def open_store(self, url: str) -> Store | None:
        self.asked.append(url)
        return MemoryStore() if url.startswith("etcd://") else None


def test_memory_opens_a_new_store_each_time() -> None:
    """Tests must not see each other's windows."""
    assert open_store("memory://") is not open_store("MEMORY://")


def test_sqlite_paths_are_relative_with_three_slashes_and_absolute_with_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is how SQLAlchemy and everybody's deployment notes write them; later changes of folder move nothing."""
    monkeypatch.chdir(tmp_path)

    relative, absolute = open_store("sqlite:///a b.db"), open_store(f"sqlite:///{tmp_path}/a b.db")

    monkeypatch.chdir("/")
    assert relative.url == absolute.url == f"sqlite:///{tmp_path}/a b.db"
    assert relative.board_path == Path(f"{tmp_path}/a b.db-board")
    assert list(tmp_path.iterdir()) == []


def test_services_that_share_a_file_have_boards_of_their_own(tmp_path: Path) -> None:
    """One service's maintenance must not close another one."""
    url = f"sqlite:///{tmp_path}/m.db"

    assert open_store(url, service_name="shop").board_path != open_store(url, service_name="blog").board_path


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no scheme"),
        ("maintenance.db", "no scheme"),
        ("memory://x", "nothing after it"),
        ("sqlite://m.db", "three slashes"),
        ("sqlite:///", "names a file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:////tmp/m.db?mode=ro", "without '?'"),
        ("sqlite:////tmp/m\0.db", "control characters"),
        ("sqlite:////no/such/folder/m.db", "/no/such/folder"),
        ("sqlite:////dev/null/m.db", "/dev/null"),
        ("sqlite:////tmp", "not a file"),
        ("sqlite:////" + "x" * 300 + "/m.db", "cannot be used"),
        ("redis://host:port", "port from 1 to 65535"),
        ("redis://host:0", "port from 1 to 65535"),
        ("redis://host:65536", "port from 1 to 65535"),
        ("redis://host:٦", "port from 1 to 65535"),
        ("redis://host/zero", "number of a database"),
        ("redis://host/0/1", "number of a database"),
        ("redis://::1", "square brackets"),
        ("redis://[::1", "no URL"),
        ("redis://host/0?socket_timeout=900", "option"),
        ("redis://host/0#1", "%23"),
        ("redis://ho st", "spaces"),
        ("rediss://host/0?ssl_check=0", "ssl_ca_certs"),
        ("redis+sentinel://host:26379", "names the master"),
        ("redis+sentinel://host:26379/mymaster/x", "number of a database"),
        ("mongodb://host", "memory://, redis://, redis+sentinel://, rediss://, sqlite://"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(url: str, says: str) -> None:
    """Whoever mistyped a setting reads this at start, and nothing else."""
    with pytest.raises(StoreURLError) as caught:
        open_store(url)

    assert says in str(caught.value)


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that everybody sees, for a user who may do nothing; containers run tests as root, who may do all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "theirs.db").touch(0o600)
        (folder / "theirs.db").chmod(0o000)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


def test_a_folder_that_is_not_writable_is_named(as_nobody: Path) -> None:
    """SQLite would only say "unable to open database file", at the first request."""
    (as_nobody / "mine").mkdir(0o555)

    with pytest.raises(StoreURLError, match=f"folder {as_nobody}/mine .*not writable"):
        open_store(f"sqlite:///{as_nobody}/mine/m.db")


def test_a_file_of_somebody_else_is_named(as_nobody: Path) -> None:
    """The usual fault: an operator's command made it as root, and the service may not read it."""
    with pytest.raises(StoreURLError, match=f"{as_nobody}/theirs.db is not readable and writable"):
        open_store(f"sqlite:///{as_nobody}/theirs.db")


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{SECRET}/1@host:6379/0",
        f"redis://u:{SECRET}@host:nine/0",
        f"redis://u:{SECRET}@[host/0",
        f"redis://u:{SECRET}#@host/0",
        f"redis://u:{SECRET} @host/0",
        f"redis://u:x?{SECRET}=1@host/0",
        f"redis+sentinel://u:{SECRET}@host:x/m",
        f"redis+sentinel://host/m?sentinel_pass={SECRET}",
        f"mongodb://u:{SECRET}@host/0",
        f"{SECRET}@host",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    """Errors at start end up in logs, tickets and screenshots."""
    with pytest.raises(StoreURLError) as caught:
        open_store(url)

    shown: BaseException | None = caught.value
    while shown is not None:
        assert SECRET not in str(shown)
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("redis://", RedisAddress(nodes=(("localhost", 6379),)), "redis://localhost:6379/0"),
        ("REDIS://h:1/7", RedisAddress(nodes=(("h", 1),), database=7), "redis://h:1/7"),
        (
            "rediss://u:p%40%2F@[::1]/2?ssl_ca_certs=/ca.pem",
            RedisAddress(
                nodes=(("::1", 6379),),
                database=2,
                username="u",
                password="p@/",
                tls=True,
                options={"ssl_ca_certs": "/ca.pem"},
            ),
            "rediss://u:***@[::1]:6379/2",
        ),
        ("redis://:pw@h", RedisAddress(nodes=(("h", 6379),), password="pw"), "redis://:***@h:6379/0"),
        (
            "redis+sentinel://u:pw@a:1,b,[::1]:3/main/4?sentinel_password=spw",
            RedisAddress(
                nodes=(("a", 1), ("b", 26379), ("::1", 3)),
                database=4,
                master="main",
                username="u",
                password="pw",
                options={"sentinel_password": "spw"},
            ),
            "redis+sentinel://u:***@a:1,b:26379,[::1]:3/main/4",
        ),
    ],
)
def test_redis_addresses_are_read_and_shown_without_secrets(url: str, address: RedisAddress, shown: str) -> None:
    """The same words reach the right server and a log without harm."""
    assert parse_address(url) == address
    assert address.redacted == shown
    assert open_store(url).url == shown
    assert "pw" not in repr(address)


@given(st.text(), st.sampled_from(["", "redis://", "rediss://", "redis+sentinel://"]))
def test_any_text_is_an_address_or_an_error_of_ours(text: str, scheme: str) -> None:
    """An environment variable can hold anything."""
    try:
        address = parse_address(scheme + text)
    except StoreURLError:
        return
    assert address.redacted.isprintable() or not text.isprintable()


def test_other_schemes_are_offered_to_plugins() -> None:
    """Stores are a plugin point."""
    plugins = OnePlugin()

    assert isinstance(open_store("etcd://host", plugins=plugins), MemoryStore)
    with pytest.raises(StoreURLError, match="no store for the scheme 'zookeeper'"):
        open_store("zookeeper://host", plugins=plugins)
    open_store("memory://", plugins=plugins)
    assert plugins.asked == ["etcd://host", "zookeeper://host"]


def test_without_the_redis_package_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core installs without it, so this is what most people see first."""
    monkeypatch.setitem(sys.modules, "redis", None)
    for name in [name for name in sys.modules if name.startswith("quiesce.stores.redis")]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(StoreURLError, match=r"pip install 'quiesce\[redis\]'"):
        open_store("redis://localhost")


@pytest.mark.parametrize("service_name", ["", "x" * 101, "a\nb", "\udcff"])
def test_a_service_name_that_could_forge_a_key_or_a_log_line_is_refused(service_name: str) -> None:
    """It becomes part of keys and file names."""
    with pytest.raises(InvalidValueError, match="service_name"):
        open_store("memory://", service_name=service_name)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs", "ceph", "fuse.glusterfs", "lustre", "afs"])
def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """SQLite's locks and the board's memory map do not hold between machines; it would seem to work."""
    folder = tmp_path / "shared space"
    folder.mkdir()
    point = str(folder).replace(" ", "\\040")
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        f"30 22 0:40 / {point} rw,relatime shared:5 - ext4 /dev/vdb rw\n"
        f"31 30 0:41 / {point} rw,relatime shared:5 master:1 - {kind} server:/export rw,vers=4.2\n"
        f"32 22 0:42 / {point}-too rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(mounts, "MOUNTINFO", table)

    with pytest.raises(StoreURLError, match=rf"network file system \({kind}\)"):
        open_store(f"sqlite:///{folder}/m.db")
    open_store(f"sqlite:///{tmp_path}/m.db")


def test_a_machine_without_mountinfo_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be known must not keep an application from starting."""
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "none")

    open_store(f"sqlite:///{tmp_path}/m.db")
