// SPDX-License-Identifier: Apache-2.0
// What amtool finds out from a configuration file alone.
#include <stdlib.h>

#include "alertmanager/am_internal.h"

bool am_check_config(Str path, AmMatcherMode mode, Buf *out, Error *err)
{
    AmConfig *config;
    AmTemplates *templates = NULL;
    if (!am_config_load(path, mode, &config, err)) {
        buf_printf(out, "  FAILED: %s\n", err->text);
        return false;
    }
    const AmFile *file = &config->file;
    buf_printf(out,
               "  SUCCESS\nFound:\n - global config\n - route\n - %zu inhibit rules\n - %zu "
               "receivers\n - %zu templates\n",
               file->inhibit_rules.count, file->receivers.count, file->templates.count);
    bool ok = am_templates_new(&file->templates, &templates, err);
    if (!ok)
        buf_printf(out, "  FAILED: %s\n", err->text);
    else if (file->templates.count)
        buf_add_c(out, "  SUCCESS\n");
    am_templates_free(templates);
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

// Calls use(arg, tree) with the tree of a configuration.
static bool with_tree(const AmConfigSource *source, void (*use)(void *arg, const AmRoute *root),
                      void *arg, Error *err)
{
    AmConfig *config;
    AmRouteTree tree = {0};
    bool read = source->path.len ? am_config_load(source->path, source->mode, &config, err)
                                 : am_config_parse(source->text, S("configuration"), STR_NONE,
                                                   source->mode, &config, err);
    if (!read)
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

bool am_check_routes(const AmConfigSource *source, Buf *out, Error *err)
{
    return with_tree(source, show_tree, out, err);
}

typedef struct Trial {
    Labels labels;
    Buf *tree;
    Buf *out;
} Trial;

// Routes that the alert takes, the last ones with their receivers.
static void print_taken(Buf *out, const AmRoute *route, Labels labels, Str lead, bool is_last)
{
    CLEANUP(buf_deinit) Buf below = {0};
    const AmRoute **taken = x_calloc(route->child_count + 1, sizeof *taken);
    size_t count = 0;
    for (size_t i = 0; i < route->child_count; i++) {
        if (!am_matchers_match(&route->children[i].matchers, labels))
            continue;
        taken[count++] = &route->children[i];
        if (!route->children[i].goes_on)
            break;
    }
    buf_printf(out, STR_FMT "%s ", STR_ARG(lead), is_last ? "└──" : "├──");
    if (route->matchers.count)
        am_matchers_print(out, &route->matchers);
    else
        buf_add_c(out, "default-route");
    if (count == 0)
        buf_printf(out, "  receiver: " STR_FMT, STR_ARG(route->receiver));
    buf_add_char(out, '\n');
    buf_printf(&below, STR_FMT "%s", STR_ARG(lead), is_last ? "    " : "│   ");
    for (size_t i = 0; i < count; i++)
        print_taken(out, taken[i], labels, buf_str(&below), i + 1 == count);
    free(taken);
}

static void try_labels(void *arg, const AmRoute *root)
{
    Trial *trial = arg;
    AmRouteList list = {0};
    am_route_match(root, trial->labels, &list);
    if (trial->tree) {
        buf_add_c(trial->tree, "Matching routes:\n.\n");
        print_taken(trial->tree, root, trial->labels, STR_NONE, true);
        buf_add_c(trial->tree, "\n\n");
    }
    for (size_t i = 0; i < list.count; i++)
        buf_printf(trial->out, "%s" STR_FMT, i ? "," : "", STR_ARG(list.items[i]->receiver));
    am_route_list_deinit(&list);
}

bool am_check_route_of(const AmConfigSource *source, Labels labels, Buf *tree, Buf *out, Error *err)
{
    Trial trial = {labels, tree, out};
    return with_tree(source, try_labels, &trial, err);
}
