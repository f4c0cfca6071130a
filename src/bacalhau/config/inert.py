"""Keys of the original that have no effect here: harmless ones are accepted, those that promise something are refused
when set.
"""

from typing import Any

from bacalhau.lib.errors import BadRequest


def _keys(prefix: str, names: str) -> dict[str, str]:
    return {f"{prefix}{name}".lower(): f"{prefix}{name}" for name in names.split()}


HARMLESS = {
    # Nothing is sent anywhere and no version is looked up.
    **_keys("", "DisableAnalytics FeatureFlags UpdateConfig.Interval"),
    # Tuning of parts that do not exist here.
    **_keys("Orchestrator.", "EvaluationBroker.MaxRetryCount EvaluationBroker.VisibilityTimeout"),
    **_keys("Orchestrator.Scheduler.", "HousekeepingInterval HousekeepingTimeout QueueBackoff WorkerCount"),
    **_keys("Engines.Types.Docker.ManifestCache.", "Refresh Size TTL"),
    **_keys("", "Compute.Heartbeat.ResourceUpdateInterval Logging.LogDebugInfoInterval"),
    # They only matter to what cannot be switched on.
    **_keys("", "WebUI.Backend WebUI.Listen"),
}
"""Lower-case key → its spelling."""

REFUSED = {
    **_keys("API.TLS.", "AutoCert AutoCertCachePath"),
    **_keys("API.Auth.", "AccessPolicyPath"),
    **_keys("Orchestrator.", "Advertise SupportReverseProxy"),
    **_keys("Orchestrator.Cluster.", "Advertise Host Name Peers Port"),
    **_keys("", "StrictVersionMatch WebUI.Enabled"),
}
"""Lower-case key → its spelling."""

# Typed as the original has them.
_DEFAULTS: dict[str, Any] = {
    "DisableAnalytics": True,
    "UpdateConfig.Interval": "0s",
    "Orchestrator.EvaluationBroker.MaxRetryCount": 10,
    "Orchestrator.EvaluationBroker.VisibilityTimeout": "1m0s",
    "Orchestrator.Scheduler.HousekeepingInterval": "30s",
    "Orchestrator.Scheduler.HousekeepingTimeout": "2m0s",
    "Orchestrator.Scheduler.QueueBackoff": "1m0s",
    "Orchestrator.Scheduler.WorkerCount": 0,
    "Engines.Types.Docker.ManifestCache.Refresh": "1h0m0s",
    "Engines.Types.Docker.ManifestCache.Size": 1000,
    "Engines.Types.Docker.ManifestCache.TTL": "1h0m0s",
    "Compute.Heartbeat.ResourceUpdateInterval": "0s",
    "Logging.LogDebugInfoInterval": "30s",
    "WebUI.Listen": "0.0.0.0:8438",
    "WebUI.Enabled": False,
    "Orchestrator.SupportReverseProxy": False,
    "Orchestrator.Cluster.Peers": [],
    "Orchestrator.Cluster.Port": 0,
    "StrictVersionMatch": False,
}
_SECTIONS = ("FeatureFlags",)


def list_inert() -> list[tuple[str, Any, str]]:
    """Each key with the value that it has when nobody sets it, and what that means here."""
    harmless = [
        (name, _DEFAULTS.get(name, ""), "Has no effect here; accepted because files of the original hold it.")
        for name in HARMLESS.values()
    ]
    refused = [
        (name, _DEFAULTS.get(name, ""), "Not supported yet; any other value is refused.") for name in REFUSED.values()
    ]
    return [row for row in harmless + refused if row[0] not in _SECTIONS]


_UNSET: tuple[Any, ...] = (None, "", False, "0", "0s", "false", "False", "FALSE", "f", "F", [], {})


def is_inert(key: str) -> bool:
    """Tell whether `key`, in any case, is in these lists."""
    return key.lower() in HARMLESS or key.lower() in REFUSED


def check_inert(key: str, value: Any) -> bool:
    """Return True if `key` is in these lists and the value changes nothing. Raises BadRequest if it would have to
    change something.
    """
    name = REFUSED.get(key.lower())
    if name is None or value in _UNSET:
        return is_inert(key)
    raise BadRequest(f"{name} is not supported yet", hint=f"leave {name} out of the configuration")
