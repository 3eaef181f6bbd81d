// SPDX-License-Identifier: Apache-2.0
#include "scrape/scrape_labels.h"

#include <stdlib.h>

#include "metric/relabel.h"

static int shorter_name_first(const void *a, const void *b)
{
    const Label *x = a;
    const Label *y = b;
    return x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

// The scraped labels that the target's have displaced come back as exported_<name>.
static void add_exported(LabelsBuilder *builder, Label *displaced, size_t count, Arena *arena)
{
    if (count > 1)
        qsort(displaced, count, sizeof *displaced, shorter_name_first);
    for (size_t i = 0; i < count; i++) {
        Str name = displaced[i].name;
        do
            name = arena_printf(arena, "exported_" STR_FMT, STR_ARG(name));
        while (labels_builder_get(builder, name).len);
        labels_builder_set(builder, name, displaced[i].value);
    }
}

static void attach_target_labels(const ScrapeInput *input, LabelsBuilder *builder)
{
    Labels target = input->target->labels;
    Arena *arena = builder->arena;
    Label *displaced = ARENA_ARRAY(arena, Label, target.count);
    size_t count = 0;
    for (size_t i = 0; i < target.count; i++) {
        Str own = labels_builder_get(builder, target.pairs[i].name);
        if (own.len && input->config->honor_labels)
            continue;
        if (own.len)
            displaced[count++] = (Label){target.pairs[i].name, own};
        labels_builder_set(builder, target.pairs[i].name, target.pairs[i].value);
    }
    add_exported(builder, displaced, count, arena);
}

static bool name_is_valid(Str name, int validation)
{
    return label_name_is_legacy(name) || (validation != NAMES_LEGACY && name_is_utf8(name));
}

static bool metric_is_valid(Str metric, int validation)
{
    return metric_name_is_legacy(metric) || (validation != NAMES_LEGACY && name_is_utf8(metric));
}

// A view that is good for the whole scrape: of the page, or of the target's labels.
static bool is_lasting(const ScrapeInput *input, Str text)
{
    bool lasts = text.ptr >= input->body.ptr && text.ptr < input->body.ptr + input->body.len;
    for (size_t i = 0; !lasts && i < input->target->labels.count; i++)
        lasts = text.ptr == input->target->labels.pairs[i].name.ptr;
    return lasts;
}

// Names only: scraped values and the target's are known to be UTF-8, and rules cut between runes.
static bool names_are_valid(ScrapeWork *work, const ScrapeInput *input, Labels labels)
{
    int validation = input->config->validation;
    for (size_t i = 0; i < labels.count; i++) {
        Str name = labels.pairs[i].name;
        Str *known = &work->names[i % SCRAPE_NAMES];
        if (str_equal(*known, name))
            continue;
        if (!name_is_valid(name, validation))
            return false;
        if (is_lasting(input, name))
            *known = name;
    }
    Str metric = labels_get(labels, LABEL_METRIC_NAME);
    if (str_equal(work->metric, metric))
        return true;
    if (!metric_is_valid(metric, validation))
        return false;
    if (is_lasting(input, metric))
        work->metric = metric;
    return true;
}

#define SHORT_ARG(s) (int)MIN((s).len, 50), (s).ptr // %.50s

static bool check_limits(const ScrapeLimits *limits, Labels labels, Error *err)
{
    Str metric = labels_get(labels, LABEL_METRIC_NAME);
    if (limits->labels && labels.count > limits->labels)
        return error_set(err, ERR_LIMIT,
                         "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                         SHORT_ARG(metric), labels.count, (unsigned long long)limits->labels);
    for (size_t i = 0; i < labels.count; i++) {
        Label label = labels.pairs[i];
        if (limits->label_name_bytes && label.name.len > limits->label_name_bytes)
            return error_set(err, ERR_LIMIT,
                             "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "length: %zu, limit: %llu)",
                             SHORT_ARG(metric), SHORT_ARG(label.name), label.name.len,
                             (unsigned long long)limits->label_name_bytes);
        if (limits->label_value_bytes && label.value.len > limits->label_value_bytes)
            return error_set(err, ERR_LIMIT,
                             "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                             "value: \"%.*s\", length: "
                             "%zu, limit: %llu)",
                             SHORT_ARG(metric), SHORT_ARG(label.name), SHORT_ARG(label.value),
                             label.value.len, (unsigned long long)limits->label_value_bytes);
    }
    return true;
}

bool scrape_labels_check(ScrapeWork *work, const ScrapeInput *input, Labels labels,
                         bool *ret_over_limit, Error *err)
{
    if (labels_get(labels, LABEL_METRIC_NAME).len == 0)
        return error_set(err, ERR_INVALID, "missing metric name (__name__ label)");
    if (!names_are_valid(work, input, labels)) {
        CLEANUP(buf_deinit) Buf text = {.max = 300};
        labels_print(&text, labels);
        return error_set(err, ERR_INVALID, "invalid metric name or label names: " STR_FMT,
                         STR_ARG(buf_str(&text)));
    }
    if (check_limits(&input->config->limits, labels, err))
        return true;
    *ret_over_limit = true;
    return false;
}

// Scraped and target labels, both sorted, as one list; false if a name stands in both.
static bool merge_labels(Labels scraped, Labels target, Arena *arena, Labels *ret_labels)
{
    Label *pairs = ARENA_ARRAY(arena, Label, scraped.count + target.count);
    size_t count = 0;
    size_t k = 0;
    for (size_t i = 0; i < scraped.count; i++) {
        int order = 1;
        while (k < target.count &&
               (order = str_compare(target.pairs[k].name, scraped.pairs[i].name)) < 0)
            pairs[count++] = target.pairs[k++];
        if (order == 0)
            return false;
        pairs[count++] = scraped.pairs[i];
    }
    while (k < target.count)
        pairs[count++] = target.pairs[k++];
    *ret_labels = (Labels){pairs, count};
    return true;
}

bool scrape_labels_make(ScrapeWork *work, const ScrapeInput *input, Labels scraped,
                        Labels *ret_labels)
{
    const ScrapeConfig *config = input->config;
    Arena *arena = &work->scratch;
    // Most series meet no conflict and no rule.
    if (config->metric_relabel.count == 0 &&
        merge_labels(scraped, input->target->labels, arena, ret_labels))
        return true;
    LabelsBuilder builder;
    labels_builder_init(&builder, arena, scraped);
    attach_target_labels(input, &builder);
    if (!relabel_apply(config->metric_relabel.items, config->metric_relabel.count, &builder))
        return false;
    *ret_labels = labels_builder_finish(&builder);
    return ret_labels->count > 0;
}
