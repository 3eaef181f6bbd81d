// SPDX-License-Identifier: Apache-2.0
// Checks a configuration as amtool check-config does.
#include "alertmanager/am_internal.h"

bool am_check_config(Str path, AmMatcherMode mode, Buf *out, Error *err)
{
    AmConfig *config;
    AmTemplates *templates;
    if (!am_config_load(path, mode, &config, err))
        return false;
    bool ok = am_templates_new(&config->file.templates, &templates, err);
    if (ok) {
        buf_printf(out,
                   "Found:\n - global config\n - route\n - %zu inhibit rules\n - %zu receivers\n - "
                   "%zu templates\n",
                   config->file.inhibit_rules.count, config->file.receivers.count,
                   config->file.templates.count);
        am_templates_free(templates);
    }
    am_config_unref(config);
    return ok;
}
