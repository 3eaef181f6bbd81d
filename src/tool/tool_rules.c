// SPDX-License-Identifier: Apache-2.0
#include "tool/tool_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "rules/rules.h"

#define STDIN_BYTES_FIRST 65536

// Duplicates ---------------------------------------------------------------------------------------------------------------------------

// What two rules must not share.
typedef struct RuleIdentity {
    Str metric;
    Labels labels;
} RuleIdentity;

static int compare(const void *a, const void *b)
{
    const RuleIdentity *x = a;
    const RuleIdentity *y = b;
    int order = str_compare(x->metric, y->metric);
    return order ? order : labels_compare(x->labels, y->labels);
}

static size_t count_rules(const RuleFile *file)
{
    size_t count = 0;
    for (size_t g = 0; g < file->groups.count; g++)
        count += ((const RuleGroupSpec *)file->groups.items)[g].rules.count;
    return count;
}

// Each identity that stands more than once, once, in order.
static RuleIdentity *find_duplicates(const RuleFile *file, Arena *arena, size_t *ret_count)
{
    RuleIdentity *all = ARENA_ARRAY(arena, RuleIdentity, count_rules(file) + 1);
    size_t count = 0;
    size_t found = 0;
    for (size_t g = 0; g < file->groups.count; g++) {
        const RuleGroupSpec *group = (const RuleGroupSpec *)file->groups.items + g;
        for (size_t r = 0; r < group->rules.count; r++) {
            const RuleSpec *rule = (const RuleSpec *)group->rules.items + r;
            all[count++] =
                (RuleIdentity){rule_spec_name(rule), rule_spec_labels(group, rule, arena)};
        }
    }
    qsort(all, count, sizeof *all, compare);
    RuleIdentity last = {0};
    for (size_t i = 0; i < count; i++) {
        bool is_same = i > 0 && compare(&last, &all[i]) == 0;
        bool is_told = found > 0 && compare(&all[found - 1], &all[i]) == 0;
        last = all[i];
        if (is_same && !is_told)
            all[found++] = all[i]; // never before i
    }
    *ret_count = found;
    return all;
}

static void tell_duplicates(const RuleIdentity *found, size_t count)
{
    fprintf(stderr, "  FAILED:\nlint error %zu duplicate rule(s) found.\n", count);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "Metric: " STR_FMT "\nLabel(s):\n", STR_ARG(found[i].metric));
        for (size_t l = 0; l < found[i].labels.count; l++)
            fprintf(stderr, "\t" STR_FMT ": " STR_FMT "\n", STR_ARG(found[i].labels.pairs[l].name),
                    STR_ARG(found[i].labels.pairs[l].value));
    }
    fprintf(stderr, "Might cause inconsistency while recording expressions\n");
}

// Files --------------------------------------------------------------------------------------------------------------------------------

static ToolFindings report(bool parsed, const RuleFile *file, StrList errors,
                           const ToolRuleLint *lint, Arena *arena)
{
    if (!parsed) {
        fprintf(stderr, "  FAILED:\n");
        for (size_t i = 0; i < errors.count; i++)
            fprintf(stderr, STR_FMT "\n", STR_ARG(errors.items[i]));
        return (ToolFindings){true, true};
    }
    if (file->second_line)
        fprintf(stderr,
                "  WARNING: only the first YAML document is read, the next begins at line %d\n",
                file->second_line);
    size_t count = 0;
    const RuleIdentity *found = lint->duplicates ? find_duplicates(file, arena, &count) : NULL;
    if (count) {
        tell_duplicates(found, count);
        return (ToolFindings){.failed = true};
    }
    printf("  SUCCESS: %zu rules found\n", count_rules(file));
    return (ToolFindings){0};
}

static RuleFileOptions options_of(const ToolCall *call, const ToolRuleLint *lint)
{
    return (RuleFileOptions){.features = call->features,
                             .ignore_unknown_fields = lint->ignore_unknown_fields};
}

ToolFindings tool_rules_check(const ToolCall *call, const Str *files, size_t count,
                              const ToolRuleLint *lint)
{
    ToolFindings all = {0};
    RuleFileOptions options = options_of(call, lint);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(arena_deinit) Arena arena = {0};
        RuleFile file;
        StrList errors = {0};
        printf("Checking " STR_FMT "\n", STR_ARG(files[i]));
        fflush(stdout);
        bool ok = rule_file_load(files[i], &options, &arena, &file, &errors);
        tool_findings_add(&all, report(ok, &file, errors, lint, &arena));
        printf("\n");
        fflush(stdout);
    }
    return all;
}

static bool read_stdin(Buf *text, Error *err)
{
    buf_init(text, RULE_FILE_BYTES_MAX);
    for (;;) {
        char *at = buf_reserve(text, STDIN_BYTES_FIRST);
        if (!at)
            return buf_ok(text, "standard input", err);
        ssize_t got = read(STDIN_FILENO, at, STDIN_BYTES_FIRST);
        if (got < 0)
            return error_set_errno(err, errno, "cannot read standard input");
        if (got == 0)
            return true;
        text->len += (size_t)got;
    }
}

ToolFindings tool_rules_check_stdin(const ToolCall *call, const ToolRuleLint *lint)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf text = {0};
    RuleFileOptions options = options_of(call, lint);
    RuleFile file;
    StrList errors = {0};
    Error err = {0};
    printf("Checking standard input\n");
    fflush(stdout);
    if (!read_stdin(&text, &err)) {
        fprintf(stderr, "  FAILED:\n%s\n", err.text);
        return (ToolFindings){true, true};
    }
    bool ok =
        rule_file_parse(buf_str(&text), S("standard input"), &options, &arena, &file, &errors);
    ToolFindings findings = report(ok, &file, errors, lint, &arena);
    printf("\n");
    return findings;
}
