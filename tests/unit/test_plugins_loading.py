"""Loading plugins: every way in which an installed plugin can be unusable is an error that names it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from quiesce.model import PluginError
from quiesce.plugins import PluginInfo, PluginManager

HOOK = "from quiesce import hookimpl\n@hookimpl\n"
GOOD = HOOK + "def classify_operation(request): return None\n"

_serial = itertools.count()


class Site:
    """A folder like site-packages, into which distributions are put as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imported = folder / "imported"

    def add(self, name: str, source: str, *, distribution: str | None = None, folder: str = "site") -> str:
        """Install a plugin of this name, and return the name of its module."""
        module = f"quiesce_plugin_under_test_{next(_serial)}"
        distribution = distribution or f"dist-{name}"
        site = self.folder / folder
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[quiesce]\n{name} = {module}\n")
        trace = f"with open({str(self.imported)!r}, 'a') as trace:\n    trace.write('{name} ')\n"
        (site / f"{module}.py").write_text(trace + source)
        return module

    def entry_points(self) -> list[EntryPoint]:
        """What the standard library finds, without its own removal of duplicates."""
        folders = [str(path) for path in sorted(self.folder.iterdir()) if path.is_dir()]
        found = [entry_point for item in distributions(path=folders) for entry_point in item.entry_points]
        return [entry_point for entry_point in found if entry_point.group == "quiesce"]

    def load(self, disabled: Iterable[str] = ()) -> PluginManager:
        return PluginManager.load(disabled=disabled, entry_points=self.entry_points())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for folder in ("site", "site2"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Site(tmp_path)


def error_of(site: Site) -> PluginError:
    with pytest.raises(PluginError) as caught:
        site.load()
    return caught.value


def test_installed_plugins_are_found_by_their_group() -> None:
    """What this environment has installed must load; that is how the application starts."""
    assert all(plugin.distribution for plugin in PluginManager.load().plugins)


def test_plugin_is_listed_with_its_origin(site: Site) -> None:
    """``quiesce plugins`` tells an operator whom to blame."""
    module = site.add("rpc", GOOD)

    assert site.load().plugins == (
        PluginInfo(name="rpc", distribution="dist-rpc", version="1.2", module=module, hooks=("classify_operation",)),
    )


def test_plugin_without_hooks_is_fine(site: Site) -> None:
    """An adapter has an entry point to be listed by, and no hook."""
    site.add("adapter", "import json\nx = 1\n")

    assert site.load().plugins[0].hooks == ()


def test_plugins_are_asked_in_order_of_their_names(site: Site) -> None:
    """The order must not depend on the order of folders."""
    for name in ("b", "a", "c"):
        site.add(name, GOOD, distribution=f"dist-{'cab'.index(name)}")
    site.add("0-last", GOOD.replace("@hookimpl", "@hookimpl(trylast=True)"))
    site.add("z-first", GOOD.replace("@hookimpl", "@hookimpl(tryfirst=True)"))

    assert [name for name, _ in site.load().classifiers] == ["z-first", "a", "b", "c", "0-last"]
    assert site.imported.read_text().split() == ["0-last", "a", "b", "c", "z-first"]


def test_disabled_plugin_is_not_even_imported(site: Site) -> None:
    """A plugin that breaks on import is what an operator disables."""
    site.add("bad", "raise RuntimeError\n")
    site.add("good", GOOD)

    manager = site.load(disabled=["bad"])

    assert site.imported.read_text() == "good "
    assert [(plugin.name, plugin.disabled) for plugin in manager.plugins] == [("bad", True), ("good", False)]
    assert [name for name, _ in manager.classifiers] == ["good"]


def test_disabling_what_is_not_there_is_said(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Most likely it is a misspelling, and the plugin still runs."""
    site.add("good", GOOD)

    site.load(disabled=["goood"])

    assert "'goood' is to be disabled but is not installed; did you mean 'good'?" in caplog.text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere\n", "ModuleNotFoundError"),
        ("raise RuntimeError('no licence')\n", "no licence"),
        ("import sys; sys.exit(3)\n", "SystemExit"),
        ("def f(:\n", "SyntaxError"),
        (HOOK + "def clasify_operation(request): pass\n", "did you mean 'classify_operation'?"),
        (HOOK + "def zzz(): pass\n", "there are classify_operation, operation_types"),
        (HOOK + "def classify_operation(req): pass\n", "unknown parameter 'req'"),
        (HOOK + "def classify_operation(request, path): pass\n", "unknown parameter 'path'"),
        (HOOK + "def classify_operation(request=None): pass\n", "a default for 'request'"),
        (HOOK + "def classify_operation(*args): pass\n", "never given"),
        (HOOK + "def classify_operation(**kwargs): pass\n", "never given"),
        (HOOK + "def classify_operation(*, request): pass\n", "never given"),
        (HOOK + "async def classify_operation(request): pass\n", "coroutine function"),
        (HOOK + "async def on_activate(window, state): yield\n", "generator"),
        (HOOK + "def on_activate(window, state): yield\n", "generator"),
        ("from quiesce import hookimpl\n@hookimpl(wrapper=True)\ndef classify_operation(request): yield\n", "wrapper"),
        (
            "from quiesce import hookimpl\n@hookimpl(hookwrapper=True)\ndef classify_operation(request): yield\n",
            "wrapper",
        ),
        ("from quiesce import hookimpl\n@hookimpl(specname='classify')\ndef f(request): pass\n", "is no hook"),
        ("def classify_operation(request): pass\n", "without @hookimpl"),
        (
            "import functools, quiesce; classify_operation = quiesce.hookimpl(functools.partial(print))\n",
            "no plain function",
        ),
    ],
)
def test_unusable_plugin_is_an_error_that_names_it(site: Site, source: str, said: str) -> None:
    """A plugin that is silently left out looks like protection and is none."""
    site.add("faulty", source)

    error = error_of(site)

    assert (error.plugin, error.distribution) == ("faulty", "dist-faulty")
    assert said in error.problem
    assert "\n" not in str(error)


def test_class_in_place_of_a_module_is_an_error(site: Site) -> None:
    """Its methods would be called without an instance, at the first request."""
    module = site.add(
        "cls",
        "from quiesce import hookimpl\nclass P:\n    @hookimpl\n    def classify_operation(self, request): pass\n",
    )
    (entry_point,) = site.entry_points()

    with pytest.raises(PluginError, match="is the class P"):
        PluginManager.load(entry_points=[EntryPoint(entry_point.name, f"{module}:P", "quiesce")])


def test_two_distributions_with_one_name_are_an_error(site: Site) -> None:
    """Which of them runs would depend on the order of folders."""
    site.add("rpc", GOOD, distribution="one")
    site.add("rpc", GOOD, distribution="two", folder="site2")

    error = error_of(site)

    assert {error.distribution, *(name for name in ("one", "two") if name in error.problem)} == {"one", "two"}
    assert not site.imported.exists()
    assert site.load(disabled=["rpc"]).classifiers == ()


def test_distribution_that_is_on_the_path_twice_is_one(site: Site) -> None:
    """An editable install beside a stale copy is everyday life; the first on the path counts."""
    first = site.add("rpc", GOOD, distribution="Rpc.Plugin")
    site.add("rpc", "raise RuntimeError\n", distribution="rpc-plugin", folder="site2")

    assert [plugin.module for plugin in site.load().plugins] == [first]


def test_metadata_that_cannot_be_read_still_gives_a_name(site: Site) -> None:
    """Half-removed distributions are everyday life too."""
    site.add("rpc", "raise RuntimeError('stale')\n")
    (site.folder / "site" / "dist_rpc-1.2.dist-info" / "METADATA").unlink()

    assert "stale" in error_of(site).problem


def test_optional_hook_of_a_later_version_is_left_alone(site: Site) -> None:
    """A plugin may support several versions of Quiesce."""
    site.add("new", "from quiesce import hookimpl\n@hookimpl(optionalhook=True)\ndef on_full_moon(): pass\n" + GOOD)

    assert [name for name, _ in site.load().classifiers] == ["new"]


def test_error_has_its_cause(site: Site) -> None:
    """The author needs the traceback."""
    site.add("faulty", "1 / 0\n")

    assert isinstance(error_of(site).__cause__, ZeroDivisionError)
