// SPDX-License-Identifier: Apache-2.0
// relabel_config.h: a RelabelRule as it stands in YAML. Facts: prometheus.md section 1.6.
#pragma once

#include "config/config.h"
#include "metric/relabel.h"

// For the items of relabel_configs, metric_relabel_configs and their like (CONFIG_STRUCT_LIST). Rules are checked with UTF-8 names;
// where the legacy scheme rules, call relabel_rule_set_names afterwards. The regex is freed by config_release.
extern const ConfigTable relabel_rule_table;
