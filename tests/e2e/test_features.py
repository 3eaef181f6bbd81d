# SPDX-License-Identifier: Apache-2.0
"""/api/v1/features tells what a server can do, by the original's categories and names."""
import pytest

CATEGORIES = ["api", "otlp_receiver", "prometheus", "promql", "promql_functions", "promql_operators", "rules", "scrape",
              "service_discovery_providers", "templating_functions", "tsdb", "ui"]


@pytest.mark.parametrize("flags, on", [
    ((), False),
    (("--enable-feature=promql-experimental-functions,promql-extended-range-selectors,promql-per-step-stats,exemplar-storage",
      "--web.enable-admin-api", "--web.enable-lifecycle", "--web.enable-remote-write-receiver"), True),
])
def test_categories_and_switches(world, flags, on):
    features = world.server("global: {}\n", *flags).start().api("features")

    assert list(features) == CATEGORIES
    for category in features.values():
        assert list(category) == sorted(category) and set(category.values()) <= {True, False}
    for category, name in (("promql_functions", "info"), ("promql_operators", "limitk"), ("promql", "anchored"),
                           ("promql", "per_step_stats"), ("tsdb", "exemplar_storage"), ("api", "admin"),
                           ("api", "lifecycle"), ("api", "remote_write_receiver")):
        assert features[category][name] is on, name
    for category, name in (("promql_functions", "rate"), ("promql_operators", "unless"), ("promql", "duration_expr"),
                           ("api", "openapi_3.2"), ("templating_functions", "humanizeDuration"),
                           ("service_discovery_providers", "static"), ("prometheus", "server_mode")):
        assert features[category][name] is True, name
    assert len(features["promql_functions"]) >= 85 and len(features["promql_operators"]) == 35
