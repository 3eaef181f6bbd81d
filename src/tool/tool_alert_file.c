// SPDX-License-Identifier: Apache-2.0
// The schema of what a test file says of the Alertmanager.
#include "tool/tool_alert_tests.h"

#define FIELD(of_struct, name, of_kind, member, text, ...)                                         \
    {                                                                                              \
        .key = name, .kind = of_kind, .offset = offsetof(of_struct, member), .help = text,         \
        ##__VA_ARGS__                                                                              \
    }

static bool finish_silence(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AlertTestSilence *silence = object;
    if (silence->matchers.count == 0)
        return config_error(reader, node, err, "a silence needs matchers");
    return !silence->has_end || silence->end_ms > silence->start_ms ||
           config_error(reader, node, err, "the silence ends before it starts");
}

static const ConfigField silence_fields[] = {
    FIELD(AlertTestSilence, "start", CONFIG_DURATION, start_ms, "When it begins, from the start."),
    FIELD(AlertTestSilence, "end", CONFIG_DURATION, end_ms, "When it ends; absent: with the test.",
          .present_offset = offsetof(AlertTestSilence, has_end)),
    FIELD(AlertTestSilence, "matchers", CONFIG_STR_LIST, matchers, "What it silences."),
};
const ConfigTable alert_test_silence_table =
    CONFIG_TABLE(AlertTestSilence, "silence", silence_fields, finish_silence);

static bool finish_sent(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AlertTestSent *sent = object;
    if (sent->labels.count == 0)
        return config_error(reader, node, err, "an alert needs labels");
    return !sent->has_end || sent->end_ms > sent->start_ms ||
           config_error(reader, node, err, "the alert ends before it starts");
}

static const ConfigField sent_fields[] = {
    FIELD(AlertTestSent, "start", CONFIG_DURATION, start_ms, "When it begins, from the start."),
    FIELD(AlertTestSent, "end", CONFIG_DURATION, end_ms, "When it is resolved; absent: never.",
          .present_offset = offsetof(AlertTestSent, has_end)),
    FIELD(AlertTestSent, "labels", CONFIG_STR_MAP, labels, "Its labels."),
    FIELD(AlertTestSent, "annotations", CONFIG_STR_MAP, annotations, "Its annotations."),
};
const ConfigTable alert_test_sent_table =
    CONFIG_TABLE(AlertTestSent, "alert", sent_fields, finish_sent);

static bool check_status(const ConfigReader *reader, const YamlNode *node, Str status, Error *err)
{
    return status.len == 0 || str_is(status, "firing") || str_is(status, "resolved") ||
           config_error(reader, node, err, "status: \"" STR_FMT "\" is not firing or resolved",
                        STR_ARG(str_sub(status, 0, 50)));
}

static bool finish_alert(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    return check_status(reader, node, ((const AlertTestAlert *)object)->status, err);
}

static const ConfigField alert_fields[] = {
    FIELD(AlertTestAlert, "status", CONFIG_STR, status, "firing (if absent) or resolved."),
    FIELD(AlertTestAlert, "labels", CONFIG_STR_MAP, labels, "All its labels."),
    FIELD(AlertTestAlert, "annotations", CONFIG_STR_MAP, annotations, "All its annotations.",
          .present_offset = offsetof(AlertTestAlert, has_annotations)),
};
static const ConfigTable alert_table =
    CONFIG_TABLE(AlertTestAlert, "exp_alert", alert_fields, finish_alert);

static const ConfigField text_fields[] = {
    FIELD(AlertTestText, "template", CONFIG_STR, template, "A template."),
    FIELD(AlertTestText, "text", CONFIG_STR, text, "What it must become."),
};
static const ConfigTable text_table = CONFIG_TABLE(AlertTestText, "exp_text", text_fields, NULL);

static bool finish_notification(ConfigReader *reader, const YamlNode *node, void *object,
                                Error *err)
{
    return check_status(reader, node, ((const AlertTestNotification *)object)->status, err);
}

static const ConfigField notification_fields[] = {
    FIELD(AlertTestNotification, "at", CONFIG_DURATION, at_ms, "When, from the start.",
          .present_offset = offsetof(AlertTestNotification, has_at)),
    FIELD(AlertTestNotification, "receiver", CONFIG_STR, receiver, "Who is told."),
    FIELD(AlertTestNotification, "integration", CONFIG_STR, integration, "By what: webhook[0]."),
    FIELD(AlertTestNotification, "status", CONFIG_STR, status, "firing or resolved."),
    FIELD(AlertTestNotification, "reason", CONFIG_STR, reason, "As .NotificationReason."),
    FIELD(AlertTestNotification, "group_labels", CONFIG_STR_MAP, group_labels, "Of the group.",
          .present_offset = offsetof(AlertTestNotification, has_group_labels)),
    FIELD(AlertTestNotification, "exp_alerts", CONFIG_STRUCT_LIST, alerts, "Its alerts.",
          .table = &alert_table, .present_offset = offsetof(AlertTestNotification, has_alerts)),
    FIELD(AlertTestNotification, "exp_texts", CONFIG_STRUCT_LIST, texts, "Templates filled in.",
          .table = &text_table),
};
static const ConfigTable notification_table = CONFIG_TABLE(
    AlertTestNotification, "exp_notification", notification_fields, finish_notification);

static bool finish_window(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const AlertTestWindow *window = object;
    return window->until_ms > window->from_ms ||
           config_error(reader, node, err, "until must be given, and be later than from");
}

static const ConfigField window_fields[] = {
    FIELD(AlertTestWindow, "from", CONFIG_DURATION, from_ms, "After when; absent: the start."),
    FIELD(AlertTestWindow, "until", CONFIG_DURATION, until_ms, "Until when."),
    FIELD(AlertTestWindow, "receiver", CONFIG_STR, receiver, "Only of this one."),
    FIELD(AlertTestWindow, "exp_notifications", CONFIG_STRUCT_LIST, expected,
          "All that are sent, and no others.", .table = &notification_table),
};
const ConfigTable alert_test_window_table =
    CONFIG_TABLE(AlertTestWindow, "notification_test_case", window_fields, finish_window);
