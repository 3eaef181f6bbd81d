// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_template.h"

#include <glob.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/map.h"

#define TEMPLATE_FILE_BYTES_MAX ((size_t)4 << 20)
#define TEXTS_KEPT_MAX 10000

const char *am_reason_text(AmReason reason)
{
    static const char *const texts[] = {
        "unknown",
        "none",
        "first notification",
        "new alerts added",
        "some alerts resolved",
        "all alerts resolved",
        "repeat interval elapsed",
    };
    return texts[reason];
}

Str am_quote_meta(Arena *arena, Str text)
{
    char *out = arena_alloc(arena, text.len * 2 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr("\\.+*?()|[]{}^$", text.ptr[i]))
            out[len++] = '\\';
        out[len++] = text.ptr[i];
    }
    return str_make(out, len);
}

// ---- KV: label pairs with methods ----

static TemplateValue pair_name(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const Label *)record)->name);
}

static TemplateValue pair_value(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const Label *)record)->value);
}

static const TemplateField pair_fields[] = {{"Name", NULL, pair_name}, {"Value", NULL, pair_value}};
static const TemplateType pair_type = {.name = "template.Pair",
                                       .kind = TEMPLATE_RECORD,
                                       .fields = pair_fields,
                                       .field_count = COUNT_OF(pair_fields)};

// alertname first, then by name.
static Label *sorted_pairs(Arena *arena, Labels labels)
{
    Label *pairs = ARENA_ARRAY(arena, Label, MAX(labels.count, 1u));
    size_t count = 0;
    for (size_t i = 0; i < labels.count; i++)
        if (str_is(labels.pairs[i].name, "alertname"))
            pairs[count++] = labels.pairs[i];
    for (size_t i = 0; i < labels.count; i++)
        if (!str_is(labels.pairs[i].name, "alertname"))
            pairs[count++] = labels.pairs[i];
    return pairs;
}

static bool strings_join(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    CLEANUP(buf_deinit) Buf text = {0};
    (void)err;
    for (size_t i = 0; i < call->self.list.count; i++) {
        if (i)
            buf_add_str(&text, call->args[0].string);
        buf_add_str(&text, call->self.list.items[i].string);
    }
    *ret_value = template_string(arena_str(call->arena, buf_str(&text)));
    return true;
}

static const TemplateFunction strings_methods[] = {
    {"Join", strings_join, TEMPLATE_PARAMS(&template_type_string)}};
static const TemplateType strings_type = {.name = "template.Strings",
                                          .kind = TEMPLATE_LIST,
                                          .elem = &template_type_string,
                                          .methods = strings_methods,
                                          .method_count = COUNT_OF(strings_methods)};

static TemplateValue names_or_values(Arena *arena, const Label *pairs, size_t count, bool names)
{
    TemplateValue *items = ARENA_ARRAY(arena, TemplateValue, MAX(count, 1u));
    for (size_t i = 0; i < count; i++)
        items[i] = template_string(names ? pairs[i].name : pairs[i].value);
    return template_list_of(&strings_type, items, count);
}

static bool pairs_column(const TemplateCall *call, TemplateValue *ret_value, bool names)
{
    size_t count = call->self.list.count;
    Label *pairs = ARENA_ARRAY(call->arena, Label, MAX(count, 1u));
    for (size_t i = 0; i < count; i++)
        pairs[i] = *(const Label *)call->self.list.items[i].record;
    *ret_value = names_or_values(call->arena, pairs, count, names);
    return true;
}

static bool pairs_names(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return pairs_column(call, ret_value, true);
}

static bool pairs_values(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return pairs_column(call, ret_value, false);
}

static void print_pairs(Buf *out, const TemplateValue *value)
{
    for (size_t i = 0; i < value->list.count; i++) {
        const Label *pair = value->list.items[i].record;
        buf_printf(out, "%s" STR_FMT "=" STR_FMT, i ? ", " : "", STR_ARG(pair->name),
                   STR_ARG(pair->value));
    }
}

static const TemplateFunction pairs_methods[] = {{"Names", pairs_names}, {"Values", pairs_values}};
static const TemplateType pairs_type = {.name = "template.Pairs",
                                        .kind = TEMPLATE_LIST,
                                        .elem = &pair_type,
                                        .methods = pairs_methods,
                                        .method_count = COUNT_OF(pairs_methods),
                                        .print = print_pairs};

static bool kv_sorted_pairs(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    size_t count = call->self.labels.count;
    Label *pairs = sorted_pairs(call->arena, call->self.labels);
    TemplateValue *items = ARENA_ARRAY(call->arena, TemplateValue, MAX(count, 1u));
    (void)err;
    for (size_t i = 0; i < count; i++)
        items[i] = template_record(&pair_type, &pairs[i]);
    *ret_value = template_list_of(&pairs_type, items, count);
    return true;
}

static const TemplateType kv_type;

static bool kv_remove(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const TemplateValue *names = &call->args[0];
    Str *list = ARENA_ARRAY(call->arena, Str, MAX(names->list.count, 1u));
    (void)err;
    for (size_t i = 0; i < names->list.count; i++)
        list[i] = names->list.items[i].string;
    Labels rest = labels_drop(call->arena, call->self.labels, list, names->list.count);
    *ret_value = template_labels_of(&kv_type, rest);
    return true;
}

static bool kv_names(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = names_or_values(call->arena, sorted_pairs(call->arena, call->self.labels),
                                 call->self.labels.count, true);
    return true;
}

static bool kv_values(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    *ret_value = names_or_values(call->arena, sorted_pairs(call->arena, call->self.labels),
                                 call->self.labels.count, false);
    return true;
}

static void print_kv(Buf *out, const TemplateValue *value)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Label *pairs = sorted_pairs(&arena, value->labels);
    for (size_t i = 0; i < value->labels.count; i++)
        buf_printf(out, "%s" STR_FMT "=" STR_FMT, i ? ", " : "", STR_ARG(pairs[i].name),
                   STR_ARG(pairs[i].value));
}

static const TemplateFunction kv_methods[] = {
    {"SortedPairs", kv_sorted_pairs},
    {"Remove", kv_remove, TEMPLATE_PARAMS(&template_type_strings)},
    {"Names", kv_names},
    {"Values", kv_values},
};
static const TemplateType kv_type = {.name = "template.KV",
                                     .kind = TEMPLATE_STRING_MAP,
                                     .elem = &template_type_string,
                                     .methods = kv_methods,
                                     .method_count = COUNT_OF(kv_methods),
                                     .print = print_kv};

// ---- alerts ----

static TemplateValue alert_status(const void *record, Arena *arena)
{
    const AmNote *note = record;
    (void)arena;
    if (note->said)
        return template_string(note->said->status);
    return template_string(note->resolved ? S("resolved") : S("firing"));
}

static TemplateValue alert_labels(const void *record, Arena *arena)
{
    return template_labels_of(&kv_type, am_alert_labels(((const AmNote *)record)->alert, arena));
}

static TemplateValue alert_annotations(const void *record, Arena *arena)
{
    return template_labels_of(&kv_type,
                              am_alert_annotations(((const AmNote *)record)->alert, arena));
}

static TemplateValue time_value(Arena *arena, int64_t t_ns)
{
    int64_t s;
    int32_t ns;
    am_time_split(t_ns, &s, &ns);
    return template_time(arena, s, ns);
}

static TemplateValue alert_starts(const void *record, Arena *arena)
{
    return time_value(arena, ((const AmNote *)record)->alert->starts_ns);
}

static TemplateValue alert_ends(const void *record, Arena *arena)
{
    const AmNote *note = record;
    return time_value(arena, note->resolved || note->said ? note->alert->ends_ns : AM_TIME_ZERO);
}

static TemplateValue alert_url(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(am_alert_url(((const AmNote *)record)->alert));
}

static TemplateValue alert_fingerprint(const void *record, Arena *arena)
{
    const AmNote *note = record;
    unsigned long long fingerprint = note->alert->fingerprint;
    if (note->said)
        return template_string(note->said->fingerprint);
    return template_string(arena_printf(arena, "%016llx", fingerprint));
}

static const TemplateField alert_fields[] = {
    {"Status", "status", alert_status},
    {"Labels", "labels", alert_labels},
    {"Annotations", "annotations", alert_annotations},
    {"StartsAt", "startsAt", alert_starts},
    {"EndsAt", "endsAt", alert_ends},
    {"GeneratorURL", "generatorURL", alert_url},
    {"Fingerprint", "fingerprint", alert_fingerprint},
};
static const TemplateType alert_type = {.name = "template.Alert",
                                        .kind = TEMPLATE_RECORD,
                                        .fields = alert_fields,
                                        .field_count = COUNT_OF(alert_fields)};

static const TemplateType alerts_type;

static bool alerts_which(const TemplateCall *call, TemplateValue *ret_value, bool resolved)
{
    size_t count = 0;
    TemplateValue *items = ARENA_ARRAY(call->arena, TemplateValue, MAX(call->self.list.count, 1u));
    for (size_t i = 0; i < call->self.list.count; i++) {
        const AmNote *note = call->self.list.items[i].record;
        bool is_other = note->said && !note->resolved && !str_is(note->said->status, "firing");
        if (note->resolved == resolved && !is_other)
            items[count++] = call->self.list.items[i];
    }
    // Without any it is the empty list of Go, [], not null.
    *ret_value = template_list_of(&alerts_type, items, count);
    return true;
}

static bool alerts_firing(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return alerts_which(call, ret_value, false);
}

static bool alerts_resolved(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    (void)err;
    return alerts_which(call, ret_value, true);
}

static const TemplateFunction alerts_methods[] = {{"Firing", alerts_firing},
                                                  {"Resolved", alerts_resolved}};
static const TemplateType alerts_type = {.name = "template.Alerts",
                                         .kind = TEMPLATE_LIST,
                                         .elem = &alert_type,
                                         .methods = alerts_methods,
                                         .method_count = COUNT_OF(alerts_methods)};

// ---- the dot ----

static TemplateValue data_receiver(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const AmData *)record)->receiver);
}

static TemplateValue data_status(const void *record, Arena *arena)
{
    const AmData *data = record;
    (void)arena;
    if (data->said)
        return template_string(data->said->status);
    return template_string(data->firing ? S("firing") : S("resolved"));
}

static TemplateValue data_alerts(const void *record, Arena *arena)
{
    const AmData *data = record;
    TemplateValue *items = ARENA_ARRAY(arena, TemplateValue, MAX(data->count, 1u));
    for (size_t i = 0; i < data->count; i++)
        items[i] = template_record(&alert_type, &data->notes[i]);
    return template_list_of(&alerts_type, items, data->count);
}

static TemplateValue data_reason(const void *record, Arena *arena)
{
    const AmData *data = record;
    (void)arena;
    if (data->said)
        return template_string(data->said_reason);
    return template_string(str_from_c(am_reason_text(data->reason)));
}

static TemplateValue data_group_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels_of(&kv_type, ((const AmData *)record)->group_labels);
}

static TemplateValue data_common_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels_of(&kv_type, ((const AmData *)record)->common_labels);
}

static TemplateValue data_common_annotations(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels_of(&kv_type, ((const AmData *)record)->common_annotations);
}

static TemplateValue data_route_labels(const void *record, Arena *arena)
{
    (void)arena;
    return template_labels_of(&kv_type, ((const AmData *)record)->route_labels);
}

static TemplateValue data_url(const void *record, Arena *arena)
{
    (void)arena;
    return template_string(((const AmData *)record)->external_url);
}

static const TemplateField data_fields[] = {
    {"Receiver", "receiver", data_receiver},
    {"Status", "status", data_status},
    {"Alerts", "alerts", data_alerts},
    {"NotificationReason", "notification_reason", data_reason},
    {"GroupLabels", "groupLabels", data_group_labels},
    {"CommonLabels", "commonLabels", data_common_labels},
    {"CommonAnnotations", "commonAnnotations", data_common_annotations},
    {"RouteLabels", "routeLabels", data_route_labels},
    {"ExternalURL", "externalURL", data_url},
};
static const TemplateType data_type = {.name = "template.Data",
                                       .kind = TEMPLATE_RECORD,
                                       .fields = data_fields,
                                       .field_count = COUNT_OF(data_fields)};

TemplateValue am_data_value(const AmData *data)
{
    return template_record(&data_type, data);
}

// Labels that all alerts have: each is kept once, so that it is its place that is compared.
static Labels common_labels(Arena *arena, const AmNote *notes, size_t count)
{
    if (count == 0)
        return LABELS_NONE;
    const AmAlert *first = notes[0].alert;
    Label *labels = ARENA_ARRAY(arena, Label, first->label_count + 1u);
    size_t kept = 0;
    for (size_t k = 0; k < first->label_count; k++) {
        size_t i = 1;
        while (i < count && am_alert_has_label(notes[i].alert, first->pairs[k]))
            i++;
        if (i == count)
            labels[kept++] = am_pair_label(first->pairs[k]);
    }
    return (Labels){labels, kept};
}

static Labels common_annotations(Arena *arena, const AmNote *notes, size_t count)
{
    if (count == 0)
        return LABELS_NONE;
    Labels first = am_alert_annotations(notes[0].alert, arena);
    Label *labels = ARENA_ARRAY(arena, Label, first.count + 1);
    size_t kept = 0;
    for (size_t k = 0; k < first.count; k++) {
        size_t i = 1;
        while (i < count && am_alert_has_annotation(notes[i].alert, first.pairs[k]))
            i++;
        if (i == count)
            labels[kept++] = first.pairs[k];
    }
    return (Labels){labels, kept};
}

AmData *am_data_new(Arena *arena, Str receiver, Str external_url, Labels group_labels,
                    const AmNote *notes, size_t count)
{
    AmData *data = ARENA_NEW(arena, AmData);
    *data = (AmData){
        .receiver = am_quote_meta(arena, receiver),
        .notes = notes,
        .count = count,
        .group_labels = group_labels,
        .common_labels = common_labels(arena, notes, count),
        .common_annotations = common_annotations(arena, notes, count),
        .external_url = external_url,
    };
    for (size_t i = 0; i < count; i++)
        data->firing |= !notes[i].resolved;
    return data;
}

// ---- the templates ----

typedef struct KnownText {
    TemplateSet *set; // a child with this text alone
    Str text;
} KnownText;

struct AmTemplates {
    TemplateSet *text, *html;
    Map known[2]; // KnownText by text: filled in as text, as html
    TemplateLimits limits;
    TemplatePlace fault;
};

// Route labels on their way: each is filled in once, on demand.
typedef struct AmRouteLabels {
    const AmTemplates *templates;
    const ConfigStrMap *texts;
    Arena *arena;
    Str *values;
    uint8_t *states; // 0 not yet, 1 being filled in, 2 done
    size_t *path;    // of those being filled in
    size_t depth;
} AmRouteLabels;

static bool route_ring(const AmRouteLabels *all, size_t again, Error *err)
{
    CLEANUP(buf_deinit) Buf ring = {0};
    for (size_t i = 0; i < all->depth; i++)
        buf_printf(&ring, STR_FMT " -> ", STR_ARG(all->texts->keys[all->path[i]]));
    return error_set(err, ERR_INVALID, "route label cycle detected: " STR_FMT STR_FMT,
                     STR_ARG(buf_str(&ring)), STR_ARG(all->texts->keys[again]));
}

static bool fill_route_label(const AmData *data, size_t at, Error *err)
{
    AmRouteLabels *all = data->rendering;
    if (all->states[at] == 1)
        return route_ring(all, at, err);
    if (all->states[at] == 2)
        return true;
    all->states[at] = 1;
    all->path[all->depth++] = at;
    if (!am_templates_render(all->templates, all->texts->values[at], false, data, all->arena,
                             &all->values[at], err))
        return false;
    all->depth--;
    all->states[at] = 2;
    return true;
}

static bool route_label_on_demand(const AmData *data, Str name, Str *ret_text, Error *err)
{
    const AmRouteLabels *all = data->rendering;
    for (size_t i = 0; i < all->texts->count; i++)
        if (str_equal(all->texts->keys[i], name)) {
            if (!fill_route_label(data, i, err))
                return false;
            *ret_text = all->values[i];
            return true;
        }
    *ret_text = STR_NONE;
    return true;
}

static bool route_labels(const TemplateCall *call, TemplateValue *ret_value, Error *err)
{
    const AmData *data = call->host ? call->host->arg : NULL;
    Str text = STR_NONE;
    if (data && data->rendering && !route_label_on_demand(data, call->args[0].string, &text, err))
        return false;
    if (data && !data->rendering)
        text = labels_get(data->route_labels, call->args[0].string);
    *ret_value = template_string(text);
    return true;
}

bool am_data_route_labels(AmData *data, const AmTemplates *templates, const ConfigStrMap *labels,
                          Arena *arena, Error *err)
{
    size_t count = labels->count;
    if (count == 0)
        return true;
    AmRouteLabels all = {templates,
                         labels,
                         arena,
                         ARENA_ARRAY(arena, Str, count),
                         arena_zalloc(arena, count),
                         ARENA_ARRAY(arena, size_t, count),
                         0};
    AmReason reason = data->reason;
    LabelsBuilder builder;
    bool ok = true;
    data->reason = AM_REASON_UNKNOWN;
    data->rendering = &all;
    for (size_t i = 0; ok && i < count; i++)
        ok = fill_route_label(data, i, err);
    data->rendering = NULL;
    data->reason = reason;
    labels_builder_init(&builder, arena, LABELS_NONE);
    for (size_t i = 0; ok && i < count; i++)
        labels_builder_set(&builder, labels->keys[i], all.values[i]);
    data->route_labels = labels_builder_finish(&builder);
    return ok;
}

static const TemplateFunction own_functions[] = {
    {"routeLabels", route_labels, TEMPLATE_PARAMS(&template_type_string)}};
static const TemplateTable own_table = {own_functions, COUNT_OF(own_functions)};
static const TemplateTable *const tables[] = {&own_table, &template_functions_alertmanager, NULL};

static bool parse_both(AmTemplates *templates, Str name, Str text, Error *err)
{
    return template_set_parse(templates->text, name, text, err) &&
           template_set_parse(templates->html, name, text, err);
}

static bool parse_file(AmTemplates *templates, const char *path, Error *err)
{
    Arena arena = {0};
    Str whole = str_from_c(path);
    size_t slash = str_rfind_char(whole, '/');
    Str name = slash == STR_NOT_FOUND ? whole : str_skip(whole, slash + 1);
    Str text;
    bool ok = fs_read_file(&fs_system, whole, &arena, TEMPLATE_FILE_BYTES_MAX, &text, err) &&
              parse_both(templates, name, text, err);
    arena_deinit(&arena);
    return ok;
}

static bool parse_glob(AmTemplates *templates, Str pattern, Error *err)
{
    Arena arena = {0};
    glob_t found = {0};
    bool ok = true;
    int rc = glob(str_to_c(&arena, pattern), GLOB_NOMAGIC, NULL, &found);
    // A name without wildcards that is not there is a fault; a pattern that matches nothing is none.
    if (rc == 0)
        for (size_t i = 0; ok && i < found.gl_pathc; i++)
            ok = fs_exists(&fs_system, str_from_c(found.gl_pathv[i]))
                     ? parse_file(templates, found.gl_pathv[i], err)
                     : true;
    else if (rc != GLOB_NOMATCH)
        ok = error_set(err, ERR_IO, "templates: cannot look for " STR_FMT, STR_ARG(pattern));
    globfree(&found);
    arena_deinit(&arena);
    return ok;
}

bool am_templates_new(const ConfigStrList *paths, AmTemplates **ret_templates, Error *err)
{
    AmTemplates *templates = X_NEW(AmTemplates);
    TemplateOptions options = {.tables = tables, .missing_key = TEMPLATE_MISSING_ZERO};
    templates->text = template_set_new(&options);
    options.html = true;
    templates->html = template_set_new(&options);
    bool ok =
        parse_both(templates, S("default.tmpl"), str_from_c(am_template_defaults_text), err) &&
        parse_both(templates, S("email.tmpl"), str_from_c(am_template_defaults_email), err);
    for (size_t i = 0; ok && i < paths->count; i++)
        ok = parse_glob(templates, paths->items[i], err);
    if (!ok) {
        am_templates_free(templates);
        return false;
    }
    *ret_templates = templates;
    return true;
}

bool am_template_check(Str text, Error *err)
{
    TemplateOptions options = {.tables = tables, .missing_key = TEMPLATE_MISSING_ZERO};
    TemplateSet *set = template_set_new(&options);
    bool ok = template_set_parse(set, S(""), text, err);
    template_set_free(set);
    return ok;
}

AmTemplates *am_templates_share(const AmTemplates *of, TemplateLimits limits)
{
    AmTemplates *templates = X_NEW(AmTemplates);
    templates->text = template_set_new_child(of->text);
    templates->html = template_set_new_child(of->html);
    templates->limits = limits;
    return templates;
}

TemplatePlace am_templates_fault(const AmTemplates *templates)
{
    return templates->fault;
}

static void forget_texts(Map *known)
{
    for (MapEntry *e = NULL; (e = map_next(known, e));) {
        KnownText *text = e->value;
        template_set_free(text->set);
        free(text);
    }
    map_deinit(known);
}

void am_templates_free(AmTemplates *templates)
{
    if (!templates)
        return;
    forget_texts(&templates->known[0]);
    forget_texts(&templates->known[1]);
    template_set_free(templates->text);
    template_set_free(templates->html);
    free(templates);
}

static bool known_text(AmTemplates *templates, Str text, bool html, TemplateSet **ret_set,
                       Error *err)
{
    Map *known = &templates->known[html];
    KnownText *found = map_get(known, text);
    if (!found) {
        TemplateSet *set = template_set_new_child(html ? templates->html : templates->text);
        if (!template_set_parse(set, S(""), text, err)) {
            templates->fault = template_set_fault(set);
            templates->fault.name = STR_NONE; // it had none, and its bytes go
            template_set_free(set);
            return false;
        }
        if (known->count >= TEXTS_KEPT_MAX)
            forget_texts(known);
        found = x_malloc(sizeof *found + text.len);
        char *copy = (char *)(found + 1);
        memcpy(copy, text.ptr, text.len);
        *found = (KnownText){set, str_make(copy, text.len)};
        (void)map_put(known, found->text, found);
    }
    *ret_set = found->set;
    return true;
}

bool am_templates_render(const AmTemplates *templates, Str text, bool html, const AmData *data,
                         Arena *arena, Str *ret_text, Error *err)
{
    CLEANUP(buf_deinit) Buf out = {0};
    TemplateSet *set;
    TemplateHost host = {.arg = (void *)(uintptr_t)data, .external_url = data->external_url};
    TemplateExecution run = {
        .dot = am_data_value(data), .host = &host, .arena = arena, .limits = templates->limits};
    if (str_find(text, S("{{")) == STR_NOT_FOUND) {
        *ret_text = text;
        return true;
    }
    // Only the memory of parsed texts and of the last fault changes, which has one user at a time.
    AmTemplates *own = (AmTemplates *)(uintptr_t)templates;
    if (!known_text(own, text, html, &set, err))
        return false;
    if (!template_execute(set, S(""), &run, &out, err)) {
        if (!template_error_place(str_from_c(err->text), &own->fault))
            own->fault = (TemplatePlace){0};
        return false;
    }
    *ret_text = arena_str(arena, buf_str(&out));
    return true;
}
