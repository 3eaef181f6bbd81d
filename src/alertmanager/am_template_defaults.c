// SPDX-License-Identifier: Apache-2.0
// The definitions that are there without any file: names and outputs are those that existing templates and settings call.
#include "alertmanager/am_template.h"

// Texts keep the lines that they were written in.
// clang-format off

#define SUBJECT "{{ template \"__subject\" . }}"
#define LINK "{{ template \"__alertmanagerURL\" . }}"
#define DEFINE(name, body) "{{ define \"" name "\" }}" body "{{ end }}"
#define NOTES "{{ .CommonAnnotations.SortedPairs.Values | join \" \" }}"

// "Alerts Firing:" and "Alerts Resolved:" with their lists, tight or with a blank line around.
#define TIGHT                                                                                      \
    "{{ with .Alerts.Firing }}Alerts Firing:\n{{ template \"__text_alert_list\" . }}{{ end }}\n"     \
    "{{ with .Alerts.Resolved }}Alerts Resolved:\n{{ template \"__text_alert_list\" . }}{{ end }}"
#define LOOSE_OF(list, mark)                                                                       \
    "{{ with .Alerts.Firing }}\n" mark "Alerts Firing:\n{{ template \"" list "\" . }}\n{{ end }}\n"   \
    "{{ with .Alerts.Resolved }}\n" mark "Alerts Resolved:\n{{ template \"" list                     \
    "\" . }}\n{{ end }}\n"
#define LOOSE LOOSE_OF("__text_alert_list", "")
#define MARKDOWN "\n" LOOSE_OF("__text_alert_list_markdown", "# ")

#define SEVERITY(alerts, then)                                                                     \
    "{{ range " alerts " }}{{ $s := .Labels.severity }}"                                           \
    "{{ if eq $s \"critical\" }}{{ $top = 3 }}"                                                     \
    "{{ else if and (eq $s \"warning\") (lt $top 2) }}{{ $top = 2 }}"                               \
    "{{ else if and (eq $s \"info\") (lt $top 1) }}{{ $top = 1 }}{{ end }}{{ end }}" then

const char am_template_defaults_text[] =
    DEFINE("__alertmanager", "Alertmanager")
    DEFINE("__alertmanagerURL",
           "{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}")
    DEFINE("__subject",
           "[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}:{{ len .Alerts.Firing }}{{ end }}] "
           "{{ .GroupLabels.SortedPairs.Values | join \" \" }} "
           "{{ if lt (len .GroupLabels) (len .CommonLabels) }}"
           "({{ (.CommonLabels.Remove .GroupLabels.Names).Values | join \" \" }}){{ end }}")
    DEFINE("__description", "")
    DEFINE("__text_alert_list",
           "{{ range . }}Labels:\n"
           "{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}\n{{ end }}Annotations:\n"
           "{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "Source: {{ .GeneratorURL }}\n{{ end }}")
    DEFINE("__text_alert_list_markdown",
           "{{ range . }}\nLabels:\n"
           "{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}\n{{ end }}\nAnnotations:\n"
           "{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}\n{{ end }}"
           "\nSource: {{ .GeneratorURL }}\n{{ end }}\n")

    DEFINE("slack.default.title", SUBJECT)
    DEFINE("slack.default.username", "{{ template \"__alertmanager\" . }}")
    DEFINE("slack.default.fallback",
           "{{ template \"slack.default.title\" . }} | {{ template \"slack.default.titlelink\" . }}")
    DEFINE("slack.default.callbackid", "")
    DEFINE("slack.default.pretext", "")
    DEFINE("slack.default.titlelink", LINK)
    DEFINE("slack.default.iconemoji", "")
    DEFINE("slack.default.iconurl", "")
    DEFINE("slack.default.text", "")
    DEFINE("slack.default.footer", "")
    DEFINE("slack.default.color", "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}")

    DEFINE("pagerduty.default.description", SUBJECT)
    DEFINE("pagerduty.default.client", "{{ template \"__alertmanager\" . }}")
    DEFINE("pagerduty.default.clientURL", LINK)
    DEFINE("pagerduty.default.instances", "{{ template \"__text_alert_list\" . }}")

    DEFINE("opsgenie.default.message", SUBJECT)
    DEFINE("opsgenie.default.description", NOTES "\n" TIGHT)
    DEFINE("opsgenie.default.source", LINK)

    DEFINE("wechat.default.message",
           SUBJECT "\n" NOTES "\n" TIGHT "\nAlertmanagerUrl:\n" LINK)
    DEFINE("wechat.default.to_user", "")
    DEFINE("wechat.default.to_party", "")
    DEFINE("wechat.default.to_tag", "")
    DEFINE("wechat.default.agent_id", "")

    DEFINE("victorops.default.state_message", NOTES "\n" TIGHT)
    DEFINE("victorops.default.entity_display_name", SUBJECT)
    DEFINE("victorops.default.monitoring_tool", "{{ template \"__alertmanager\" . }}")

    DEFINE("pushover.default.title", SUBJECT)
    DEFINE("pushover.default.message", NOTES "\n" LOOSE)
    DEFINE("pushover.default.url", LINK)
    DEFINE("sns.default.subject", SUBJECT)
    DEFINE("sns.default.message", NOTES "\n" LOOSE)
    DEFINE("telegram.default.message", "\n" LOOSE)
    DEFINE("discord.default.content", "")
    DEFINE("discord.default.title", SUBJECT)
    DEFINE("discord.default.message", "\n" LOOSE)
    DEFINE("webex.default.message", NOTES "\n" LOOSE)

    DEFINE("msteams.default.summary", SUBJECT)
    DEFINE("msteams.default.title", SUBJECT)
    DEFINE("msteams.default.text", MARKDOWN)
    DEFINE("msteamsv2.default.title", SUBJECT)
    DEFINE("msteamsv2.default.text", MARKDOWN)

    DEFINE("jira.default.summary", SUBJECT)
    DEFINE("jira.default.description", MARKDOWN)
    DEFINE("jira.default.priority",
           "{{ $top := 0 }}{{ if .Alerts.Firing }}" SEVERITY(".Alerts.Firing", "{{ else }}")
           SEVERITY(".Alerts.Resolved", "{{ end }}")
           "{{ if eq $top 3 }}High{{ else if eq $top 2 }}Medium{{ else if eq $top 1 }}Low{{ end }}")

    DEFINE("rocketchat.default.title", SUBJECT)
    DEFINE("rocketchat.default.alias", "{{ template \"__alertmanager\" . }}")
    DEFINE("rocketchat.default.titlelink", LINK)
    DEFINE("rocketchat.default.emoji", "")
    DEFINE("rocketchat.default.iconurl", "")
    DEFINE("rocketchat.default.text", "")

    DEFINE("mattermost.default.text", MARKDOWN)
    DEFINE("mattermost.default.color", "{{ template \"slack.default.color\" . }}")
    DEFINE("mattermost.default.username", "{{ template \"__alertmanager\" . }}")
    DEFINE("mattermost.default.title", SUBJECT)
    DEFINE("mattermost.default.titlelink", LINK)
    DEFINE("mattermost.default.fallback",
           "{{ template \"mattermost.default.title\" . }} | "
           "{{ template \"mattermost.default.titlelink\" . }}");

#define CELL(style, body) "<tr><td style=\"padding:12px 20px;" style "\">" body "</td></tr>\n"
#define KEY_VALUES(title, of)                                                                      \
    "{{ if gt (len " of ") 0 }}<strong>" title "</strong><br/>\n"                                  \
    "{{ range " of ".SortedPairs }}{{ .Name }} = {{ .Value }}<br/>\n{{ end }}{{ end }}"
#define ALERT                                                                                      \
    CELL("border-top:1px solid #eee;",                                                             \
         KEY_VALUES("Labels", ".Labels") KEY_VALUES("Annotations", ".Annotations")                 \
         "<a href=\"{{ .GeneratorURL }}\" style=\"color:#348eda\">Source</a>")

const char am_template_defaults_email[] =
    DEFINE("email.default.subject", SUBJECT)
    DEFINE("email.default.html",
           "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" SUBJECT "</title>\n"
           "</head>\n<body style=\"margin:0;background:#f6f6f6;font:14px/1.5 Helvetica,Arial,sans-serif\">\n"
           "<table align=\"center\" width=\"600\" cellspacing=\"0\" style=\"background:#fff;border:1px solid #e9e9e9\">\n"
           "<tr><td style=\"padding:20px;color:#fff;font-size:16px;text-align:center;background:"
           "{{ if eq .Status \"firing\" }}#E6522C{{ else }}#68B90F{{ end }}\">"
           "{{ len .Alerts }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for "
           "{{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}</td></tr>\n"
           CELL("text-align:center;",
                "<a href=\"" LINK "\" style=\"display:inline-block;padding:8px 16px;border-radius:4px;"
                "color:#fff;background:#348eda;text-decoration:none\">View in "
                "{{ template \"__alertmanager\" . }}</a>")
           "{{ if gt (len .Alerts.Firing) 0 }}"
           CELL("", "<strong>[{{ len .Alerts.Firing }}] Firing</strong>")
           "{{ range .Alerts.Firing }}" ALERT "{{ end }}{{ end }}"
           "{{ if gt (len .Alerts.Resolved) 0 }}"
           CELL("", "<strong>[{{ len .Alerts.Resolved }}] Resolved</strong>")
           "{{ range .Alerts.Resolved }}" ALERT "{{ end }}{{ end }}"
           "</table>\n<p style=\"text-align:center\"><a href=\"{{ .ExternalURL }}\" style=\"color:#999\">"
           "Sent by {{ template \"__alertmanager\" . }}</a></p>\n</body>\n</html>\n");
