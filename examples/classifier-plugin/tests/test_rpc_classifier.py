"""The plugin keeps the contract, and says what its API means."""

from __future__ import annotations

import quiesce_rpc_classifier
from quiesce.testing import ClassifierContract


class TestRpcClassifier(ClassifierContract):
    """Every promise of ``classify_operation``, checked on this plugin."""

    plugin = quiesce_rpc_classifier
    reads = (("POST", "/rpc/getUser"), ("POST", "/search"))
    writes = (("POST", "/rpc/deleteUser"), ("GET", "/rpc/deleteUser"))
    expected = (("POST", "/rpc/renameUser", "rpc_call"),)
    foreign = (("GET", "/search"), ("POST", "/rpcs"), ("POST", "/"))
