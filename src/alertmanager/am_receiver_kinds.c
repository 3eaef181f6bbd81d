// SPDX-License-Identifier: Apache-2.0
#include "alertmanager/am_receiver.h"

extern const AmReceiverKind receiver_webhook, receiver_email, receiver_pagerduty, receiver_opsgenie,
    receiver_wechat, receiver_slack, receiver_victorops, receiver_pushover, receiver_sns,
    receiver_telegram, receiver_discord, receiver_webex, receiver_msteams, receiver_msteamsv2,
    receiver_jira, receiver_incidentio, receiver_rocketchat, receiver_mattermost;

const AmReceiverKind *const am_receiver_kinds[AM_KIND_COUNT] = {
    [AM_WEBHOOK] = &receiver_webhook,
    [AM_EMAIL] = &receiver_email,
    [AM_PAGERDUTY] = &receiver_pagerduty,
    [AM_OPSGENIE] = &receiver_opsgenie,
    [AM_WECHAT] = &receiver_wechat,
    [AM_SLACK] = &receiver_slack,
    [AM_VICTOROPS] = &receiver_victorops,
    [AM_PUSHOVER] = &receiver_pushover,
    [AM_SNS] = &receiver_sns,
    [AM_TELEGRAM] = &receiver_telegram,
    [AM_DISCORD] = &receiver_discord,
    [AM_WEBEX] = &receiver_webex,
    [AM_MSTEAMS] = &receiver_msteams,
    [AM_MSTEAMSV2] = &receiver_msteamsv2,
    [AM_JIRA] = &receiver_jira,
    [AM_INCIDENTIO] = &receiver_incidentio,
    [AM_ROCKETCHAT] = &receiver_rocketchat,
    [AM_MATTERMOST] = &receiver_mattermost,
};
