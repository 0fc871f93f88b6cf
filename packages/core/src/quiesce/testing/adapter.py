"""The contract of a framework adapter, as tests to subclass."""

from __future__ import annotations

from .adapter_decisions import DecisionContract
from .adapter_emergency import EmergencyContract
from .adapter_endpoints import EndpointContract
from .adapter_entries import EntryContract
from .adapter_hostile import HostileContract
from .adapter_pass_page import PassPageContract
from .adapter_passes import PassContract
from .adapter_plan_faults import PlanFaultContract
from .adapter_refusals import RefusalContract
from .adapter_windows import WindowContract


class AdapterContract(
    DecisionContract,
    RefusalContract,
    EntryContract,
    EndpointContract,
    WindowContract,
    EmergencyContract,
    PlanFaultContract,
    HostileContract,
    PassContract,
    PassPageContract,
):
    """What every adapter promises, one test a promise.

    Subclass it in a test module, name the framework, and build the application that ``client`` describes::

        class TestMyAdapter(AdapterContract):
            framework = "myframework"

            def client(self, *, service, identify=None):
                app = MyFramework()
                ...  # the routes
                my_adapter.init_app(app, service=service, identify=identify)
                return MyClient(app)

    Attributes:
        framework: the name under which the adapter's workers stand in reports.
    """
