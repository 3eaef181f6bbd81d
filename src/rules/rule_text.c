// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/log.h"
#include "base/number.h"
#include "rules/rules_internal.h"

static bool text_init(RuleText *text, Label pair, Str alert, TemplateSet *functions, Arena *arena,
                      Error *err)
{
    CLEANUP(buf_deinit) Buf whole = {0};
    *text = (RuleText){.name = arena_printf(arena, "__alert_" STR_FMT, STR_ARG(alert)),
                       .text = pair.value};
    if (str_find(pair.value, S("{{")) == STR_NOT_FOUND)
        return true;
    buf_add_c(&whole, TEMPLATE_ALERT_PREFIX);
    buf_add_str(&whole, pair.value);
    text->set = template_set_new_child(functions);
    return template_set_parse(text->set, text->name, buf_str(&whole), err);
}

bool rule_texts_new(Labels labels, Str alert, TemplateSet *functions, Arena *arena,
                    RuleText **ret_texts, Error *err)
{
    RuleText *texts = arena_zalloc(arena, (labels.count + 1) * sizeof *texts);
    for (size_t i = 0; i < labels.count; i++)
        if (!text_init(&texts[i], labels.pairs[i], alert, functions, arena, err)) {
            rule_texts_free(texts, i + 1);
            return false;
        }
    *ret_texts = texts;
    return true;
}

void rule_texts_free(RuleText *texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        template_set_free(texts[i].set);
}

// The function `query` of templates: at the time of the evaluation, without the offset, as the original.
static bool query(void *arg, Str expression, Arena *arena, TemplateSample **ret_samples,
                  size_t *ret_count, Error *err)
{
    const RuleEval *run = arg;
    QueryResult result;
    RuleEval inner = *run;
    inner.arena = arena;
    if (!rule_eval_query(&inner, expression, run->t_ms, &result, err))
        return false;
    TemplateSample *samples = ARENA_ARRAY(arena, TemplateSample, result.count + 1);
    for (size_t i = 0; i < result.count; i++)
        samples[i] = (TemplateSample){result.series[i].labels, result.series[i].samples.value[0]};
    *ret_samples = samples;
    *ret_count = result.count;
    return true;
}

Str rule_text_expand(const RuleText *text, const RuleExpansion *expansion)
{
    const RuleEval *run = expansion->run;
    CLEANUP(buf_deinit) Buf out = {0};
    Error err = {0};
    if (!text->set)
        return text->text;
    TemplateAlertData data = {
        .labels = expansion->labels,
        .external_labels = run->group->external_labels,
        .external_url = run->group->external_url,
        .value = template_float(expansion->value),
    };
    if (expansion->histogram) {
        CLEANUP(buf_deinit) Buf shown = {0};
        histogram_print(&shown, expansion->histogram);
        data.value = template_string(arena_str(run->arena, buf_str(&shown)));
    }
    union {
        const RuleEval *run;
        void *arg;
    } cast = {run};
    TemplateHost host = {.arg = cast.arg,
                         .now_ms = run->t_ms,
                         .external_url = run->group->external_url,
                         .query = query};
    TemplateExecution execution = {
        .dot = template_alert_data(&data), .host = &host, .arena = run->arena};
    bool ok = template_execute(text->set, text->name, &execution, &out, &err);
    rules_metrics_expansion(run->manager, !ok);
    if (ok)
        return arena_str(run->arena, buf_str(&out));
    if (run->manager->options.threads > 0)
        log_warn("expanding alert template failed", KV("file", run->group->file),
                 KV("group", run->group->name), KV("template", text->name), KV("err", &err));
    return arena_printf(run->arena,
                        "<error expanding template: error executing template " STR_FMT ": %s>",
                        STR_ARG(text->name), err.text);
}
