// SPDX-License-Identifier: Apache-2.0
// What was parsed is printed, parsed again and printed the same; executing ends within its limits, as text and as a page.
#include "template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_BYTES_MAX 8192

static const TemplateTable *const tables[] = {&template_functions_alertmanager,
                                              &template_functions_prometheus, NULL};

static TemplateSet *parse(Str text, bool html, Error *err)
{
    TemplateOptions options = {
        .tables = tables, .missing_key = TEMPLATE_MISSING_ZERO, .html = html};
    TemplateSet *set = template_set_new(&options);

    if (template_set_parse(set, S("fuzz"), text, err))
        return set;
    ASSERT(err->text[0]);
    template_set_free(set);
    return NULL;
}

static void print_again(Str printed)
{
    CLEANUP(buf_deinit) Buf again = {0};
    Error err = {0};
    TemplateSet *set = parse(printed, false, &err);

    // What is left of a text at a trim marker may begin or end an action together with its neighbour; the nesting grows by {{else}}{{if}}.
    if (!set)
        return;
    ASSERT(template_set_print(set, S("fuzz"), &again));
    template_set_free(set);

    CLEANUP(buf_deinit) Buf third = {0};
    set = parse(buf_str(&again), false, &err);
    if (set) {
        ASSERT(template_set_print(set, S("fuzz"), &third));
        ASSERT(str_equal(buf_str(&again), buf_str(&third)));
        template_set_free(set);
    }
}

static void execute(const TemplateSet *set)
{
    static const Label pairs[] = {{STR("instance"), STR("a<b>:9100")}, {STR("job"), STR("node")}};
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    TemplateAlertData data = {.labels = {pairs, COUNT_OF(pairs)},
                              .external_url = S("http://x"),
                              .value = template_float(0.5)};
    TemplateHost host = {.now_ms = 1700000000000};
    TemplateExecution execution = {
        .dot = template_alert_data(&data),
        .host = &host,
        .arena = &arena,
        .limits = {.output_bytes = 1 << 16, .memory_bytes = 1 << 22, .steps = 5000, .depth = 50}};
    Error err = {0};

    if (!template_execute(set, S("fuzz"), &execution, &out, &err))
        ASSERT(err.text[0]);
    ASSERT(out.len <= 1 << 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) Buf printed = {0};
    Str text = str_make((const char *)data, size);
    Error err = {0};

    if (size > FUZZ_BYTES_MAX)
        return 0;
    TemplateSet *set = parse(text, false, &err);
    if (!set)
        return 0;
    if (template_set_print(set, S("fuzz"), &printed))
        print_again(buf_str(&printed));
    execute(set);
    template_set_free(set);
    set = parse(text, true, &err);
    ASSERT(set);
    execute(set);
    template_set_free(set);
    return 0;
}
