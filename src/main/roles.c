// SPDX-License-Identifier: Apache-2.0
#include "main/roles.h"

const Role roles[] = {
    {"server", (const char *const[]){"prometheus", NULL},
     "Scrapes, stores, answers queries: in place of prometheus.", role_server},
    {"alertmanager", (const char *const[]){"prometheus-alertmanager", NULL},
     "Groups, silences and sends alerts: in place of alertmanager.", role_alertmanager},
    {"node-exporter", (const char *const[]){"node_exporter", "prometheus-node-exporter", NULL},
     "Exposes the machine it runs on: in place of node_exporter.", role_node_exporter},
    {"tool", (const char *const[]){"promtool", "amtool", NULL},
     "Checks, queries and unit tests from the command line: in place of promtool and amtool.",
     role_tool},
};
const size_t role_count = COUNT_OF(roles);

const Role *role_find(Str name)
{
    for (size_t i = 0; i < role_count; i++) {
        if (str_is(name, roles[i].name))
            return &roles[i];
        for (size_t a = 0; roles[i].aliases[a]; a++)
            if (str_is(name, roles[i].aliases[a]))
                return &roles[i];
    }
    return NULL;
}

const char *role_suggest(Str name)
{
    const char *nearest = NULL;
    size_t best = 4;
    for (size_t i = 0; i < role_count; i++) {
        size_t distance = str_distance(name, str_from_c(roles[i].name));
        if (distance < best) {
            best = distance;
            nearest = roles[i].name;
        }
    }
    return nearest;
}
