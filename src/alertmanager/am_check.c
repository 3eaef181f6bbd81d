// SPDX-License-Identifier: Apache-2.0
// What amtool finds out from a configuration file alone.
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

// A line of the tree, then what is below it; `lead` stands in front of the branches of its children.
static void print_route(Buf *out, const AmRoute *route, Str lead)
{
    for (size_t i = 0; i < route->child_count; i++) {
        CLEANUP(buf_deinit) Buf below = {0};
        const AmRoute *child = &route->children[i];
        bool last = i + 1 == route->child_count;
        buf_printf(out, STR_FMT "%s ", STR_ARG(lead), last ? "└──" : "├──");
        am_matchers_print(out, &child->matchers);
        buf_printf(out, "%s  receiver: " STR_FMT "\n", child->goes_on ? "  continue: true" : "",
                   STR_ARG(child->receiver));
        buf_printf(&below, STR_FMT "%s", STR_ARG(lead), last ? "    " : "│   ");
        print_route(out, child, buf_str(&below));
    }
}

// Calls use(arg, tree) with the tree of a file.
static bool with_tree(Str path, AmMatcherMode mode, void (*use)(void *arg, const AmRoute *root),
                      void *arg, Error *err)
{
    AmConfig *config;
    AmRouteTree tree = {0};
    if (!am_config_load(path, mode, &config, err))
        return false;
    bool ok = am_route_tree_init(&tree, config, err);
    if (ok)
        use(arg, tree.root);
    am_route_tree_deinit(&tree);
    am_config_unref(config);
    return ok;
}

static void show_tree(void *arg, const AmRoute *root)
{
    Buf *out = arg;
    buf_printf(out, "Routing tree:\n.\n└── default-route  receiver: " STR_FMT "\n",
               STR_ARG(root->receiver));
    print_route(out, root, S("    "));
    buf_add_char(out, '\n');
}

bool am_check_routes(Str path, AmMatcherMode mode, Buf *out, Error *err)
{
    return with_tree(path, mode, show_tree, out, err);
}

typedef struct Trial {
    Labels labels;
    Buf *out;
} Trial;

static void try_labels(void *arg, const AmRoute *root)
{
    Trial *trial = arg;
    AmRouteList list = {0};
    am_route_match(root, trial->labels, &list);
    for (size_t i = 0; i < list.count; i++)
        buf_printf(trial->out, "%s" STR_FMT, i ? "," : "", STR_ARG(list.items[i]->receiver));
    am_route_list_deinit(&list);
}

bool am_check_route_of(Str path, AmMatcherMode mode, Labels labels, Buf *out, Error *err)
{
    Trial trial = {labels, out};
    return with_tree(path, mode, try_labels, &trial, err);
}
