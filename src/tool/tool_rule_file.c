// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <math.h>

#include "base/fs.h"
#include "base/number.h"
#include "base/timefmt.h"
#include "tool/tool_alert_tests.h"

#define TEST_FILE_BYTES_MAX ((size_t)256 << 20)
#define EVALUATION_MS_DEFAULT 60000

static bool decode_start(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    double seconds;
    Error why;
    if (node->kind == YAML_NULL)
        return true;
    if (node->kind == YAML_SCALAR && number_parse_double(node->scalar, &seconds) &&
        fabs(seconds) < 1e15) {
        *(int64_t *)member = (int64_t)round(seconds * 1000);
        return true;
    }
    if (node->kind == YAML_SCALAR && rfc3339_parse(node->scalar, member, &why))
        return true;
    return config_error(reader, node, err,
                        "start_timestamp: expected a time as RFC 3339 or in Unix seconds");
}

static void print_start(Buf *buf, int indent, const char *key, const void *member)
{
    buf_printf(buf, "%*s%s: ", indent, "", key);
    buf_add_rfc3339(buf, *(const int64_t *)member, 0);
    buf_add_char(buf, '\n');
}

// Go's YAML reader takes .nan, NaN and numbers alike.
static bool decode_value(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    if (node->kind == YAML_NULL || yaml_double(node, member) ||
        (node->kind == YAML_SCALAR && number_parse_double(node->scalar, member)))
        return true;
    return config_error(reader, node, err, "value: expected a number");
}

static void print_value(Buf *buf, int indent, const char *key, const void *member)
{
    buf_printf(buf, "%*s%s: %g\n", indent, "", key, *(const double *)member);
}

#define FIELD(of_struct, name, of_kind, member, text, ...)                                         \
    {                                                                                              \
        .key = name, .kind = of_kind, .offset = offsetof(of_struct, member), .help = text,         \
        ##__VA_ARGS__                                                                              \
    }

static const ConfigField series_fields[] = {
    FIELD(RuleTestSeries, "series", CONFIG_STR, series, "Metric name and labels."),
    FIELD(RuleTestSeries, "values", CONFIG_STR, values, "Its samples, in expanding notation."),
};
static const ConfigTable series_table =
    CONFIG_TABLE(RuleTestSeries, "input_series", series_fields, NULL);

static const ConfigField alert_fields[] = {
    FIELD(RuleTestAlert, "exp_labels", CONFIG_STR_MAP, labels, "Labels without alertname."),
    FIELD(RuleTestAlert, "exp_annotations", CONFIG_STR_MAP, annotations, "Annotations."),
};
static const ConfigTable alert_table = CONFIG_TABLE(RuleTestAlert, "exp_alert", alert_fields, NULL);

static const ConfigField alerts_fields[] = {
    FIELD(RuleTestAlerts, "eval_time", CONFIG_DURATION, eval_time_ms, "When, from the start."),
    FIELD(RuleTestAlerts, "alertname", CONFIG_STR, alertname, "Which alert."),
    FIELD(RuleTestAlerts, "exp_alerts", CONFIG_STRUCT_LIST, expected, "What fires then.",
          .table = &alert_table),
};
static const ConfigTable alerts_table =
    CONFIG_TABLE(RuleTestAlerts, "alert_test_case", alerts_fields, NULL);

static const ConfigField sample_fields[] = {
    FIELD(RuleTestSample, "labels", CONFIG_STR, labels, "Metric name and labels."),
    FIELD(RuleTestSample, "value", CONFIG_CUSTOM, value, "Its value.", .decode = decode_value,
          .print = print_value),
    FIELD(RuleTestSample, "histogram", CONFIG_STR, histogram, "Its histogram, instead of a value."),
};
static const ConfigTable sample_table =
    CONFIG_TABLE(RuleTestSample, "exp_sample", sample_fields, NULL);

static const ConfigField expr_fields[] = {
    FIELD(RuleTestExpr, "expr", CONFIG_STR, expr, "Expression."),
    FIELD(RuleTestExpr, "eval_time", CONFIG_DURATION, eval_time_ms, "When, from the start."),
    FIELD(RuleTestExpr, "exp_samples", CONFIG_STRUCT_LIST, expected, "Its result.",
          .table = &sample_table),
};
static const ConfigTable expr_table =
    CONFIG_TABLE(RuleTestExpr, "promql_test_case", expr_fields, NULL);

static const ConfigField test_fields[] = {
    FIELD(RuleTest, "name", CONFIG_STR, name, "Name of the test."),
    FIELD(RuleTest, "interval", CONFIG_DURATION, interval_ms, "Between two samples of the input."),
    FIELD(RuleTest, "input_series", CONFIG_STRUCT_LIST, input, "What is there.",
          .table = &series_table),
    FIELD(RuleTest, "alert_rule_test", CONFIG_STRUCT_LIST, alerts, "What must fire.",
          .table = &alerts_table),
    FIELD(RuleTest, "promql_expr_test", CONFIG_STRUCT_LIST, exprs, "What expressions must give.",
          .table = &expr_table),
    FIELD(RuleTest, "external_labels", CONFIG_STR_MAP, external_labels, "For templates."),
    FIELD(RuleTest, "external_url", CONFIG_STR, external_url, "For templates."),
    FIELD(RuleTest, "start_timestamp", CONFIG_CUSTOM, start_ms, "Time of the first sample.",
          .decode = decode_start, .print = print_start),
    FIELD(RuleTest, "silences", CONFIG_STRUCT_LIST, silences, "Silences of the Alertmanager.",
          .table = &alert_test_silence_table),
    FIELD(RuleTest, "alerts", CONFIG_STRUCT_LIST, sent, "Alerts that come from elsewhere.",
          .table = &alert_test_sent_table),
    FIELD(RuleTest, "notification_test", CONFIG_STRUCT_LIST, notifications, "Who must be told.",
          .table = &alert_test_window_table),
};
static const ConfigTable test_table = CONFIG_TABLE(RuleTest, "test_group", test_fields, NULL);

static const ConfigField file_fields[] = {
    FIELD(RuleTestFile, "rule_files", CONFIG_STR_LIST, rule_files, "Rules, as globs."),
    FIELD(RuleTestFile, "evaluation_interval", CONFIG_DURATION, evaluation_interval_ms,
          "Between two evaluations."),
    FIELD(RuleTestFile, "group_eval_order", CONFIG_STR_LIST, group_eval_order,
          "Groups that come first."),
    FIELD(RuleTestFile, "tests", CONFIG_STRUCT_LIST, tests, "The tests.", .table = &test_table),
    FIELD(RuleTestFile, "fuzzy_compare", CONFIG_BOOL, fuzzy_compare,
          "Neighbouring floats are equal."),
    FIELD(RuleTestFile, "alertmanager_config", CONFIG_PATH, alertmanager_config,
          "Configuration of the Alertmanager."),
};
static const ConfigTable file_table =
    CONFIG_TABLE(RuleTestFile, "unit_test_file", file_fields, NULL);

// Globs become files; one without a match is told.
static void find_rule_files(ConfigStrList *list, Str folder, Arena *arena)
{
    ConfigStrList all = {0};
    for (size_t i = 0; i < list->count; i++) {
        Str pattern = list->items[i];
        bool is_absolute = pattern.len && pattern.ptr[0] == '/';
        if (!is_absolute && !str_is(folder, "."))
            pattern = fs_join(arena, folder, pattern);
        glob_t found = {0};
        if (glob(str_to_c(arena, pattern), 0, NULL, &found) != 0)
            fprintf(stderr, "  WARNING: no file match pattern " STR_FMT "\n", STR_ARG(pattern));
        all.items = arena_grow(arena, all.items, all.count * sizeof(Str),
                               (all.count + found.gl_pathc) * sizeof(Str));
        for (size_t f = 0; f < found.gl_pathc; f++)
            all.items[all.count++] = arena_str(arena, str_from_c(found.gl_pathv[f]));
        globfree(&found);
    }
    *list = all;
}

static bool check_order(const ConfigStrList *order, Error *err)
{
    for (size_t i = 0; i < order->count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_equal(order->items[i], order->items[k]))
                return error_set(err, ERR_INVALID,
                                 "group name repeated in evaluation order: " STR_FMT,
                                 STR_ARG(order->items[i]));
    return true;
}

// promtool's files have nothing of the Alertmanager.
static bool check_plain(const RuleTestFile *file, Str path, Error *err)
{
    bool plain = file->alertmanager_config.len == 0;
    for (size_t i = 0; i < file->tests.count; i++) {
        const RuleTest *test = (const RuleTest *)file->tests.items + i;
        plain &= !test->silences.count && !test->sent.count && !test->notifications.count;
    }
    return plain || error_set(err, ERR_INVALID,
                              STR_FMT ": what it says of the Alertmanager is for `test alerts`",
                              STR_ARG(path));
}

bool rule_test_file_load(Str path, bool with_alerts, Arena *arena, RuleTestFile *ret_file,
                         Error *err)
{
    Str text;
    YamlNode *root;
    size_t slash = str_rfind_char(path, '/');
    Str folder = slash == STR_NOT_FOUND ? S(".") : str_sub(path, 0, slash ? slash : 1);
    ConfigReader reader = {.arena = arena, .file_name = path, .folder = folder};
    if (!fs_read_file(&fs_system, path, arena, TEST_FILE_BYTES_MAX, &text, err) ||
        !yaml_parse(text, path, arena, &root, err) ||
        !config_decode(&reader, &file_table, root, ret_file, err) ||
        (!with_alerts && !check_plain(ret_file, path, err)))
        return false;
    find_rule_files(&ret_file->rule_files, folder, arena);
    if (ret_file->evaluation_interval_ms == 0)
        ret_file->evaluation_interval_ms = EVALUATION_MS_DEFAULT;
    return check_order(&ret_file->group_eval_order, err);
}
