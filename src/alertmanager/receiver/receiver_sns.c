// SPDX-License-Identifier: Apache-2.0
// sns: Amazon's Publish, signed: alertmanager.md section 8.10.
#include <stdio.h>
#include <stdlib.h>

#include "alertmanager/am_receiver.h"
#include "net/sigv4.h"
#include "net/url.h"

#define MESSAGE_BYTES_MAX ((size_t)256 << 10)
#define SMS_BYTES_MAX 1600
#define SUBJECT_RUNES_MAX 100

typedef struct SnsSigv4 {
    Str region, access_key, secret_key, profile, role_arn, external_id;
} SnsSigv4;

typedef struct Sns {
    AmCommon common;
    Str api_url;
    SnsSigv4 sigv4;
    Str topic_arn, phone_number, target_arn, subject, message;
    ConfigStrMap attributes;
    bool use_aws_http_client;
} Sns;

#define OWNER SnsSigv4
static const ConfigField sigv4_fields[] = {
    AM_FIELD(region, CONFIG_STR, "region; the environment's if not given"),
    AM_FIELD(access_key, CONFIG_STR, "key id; the environment's if not given"),
    AM_FIELD(secret_key, CONFIG_SECRET, "key"),
    AM_FIELD(profile, CONFIG_STR, "named profile of the credentials file"),
    AM_FIELD(role_arn, CONFIG_STR, "role to take on"),
    AM_FIELD(external_id, CONFIG_STR, "what the role asks for"),
};
#undef OWNER

static bool finish_sigv4(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const SnsSigv4 *keys = object;
    if (keys->external_id.len && !keys->role_arn.len)
        return config_error(reader, node, err, "external_id can only be used with role_arn");
    return (keys->access_key.len > 0) == (keys->secret_key.len > 0) ||
           config_error(reader, node, err,
                        "must provide a AWS SigV4 Access key and Secret Key if credentials are "
                        "specified in the SigV4 config");
}

static const ConfigTable sigv4_table = CONFIG_TABLE(SnsSigv4, "sigv4", sigv4_fields, finish_sigv4);

#define OWNER Sns
static const ConfigField fields[] = {
    AM_COMMON_FIELDS(Sns, "true"),
    AM_FIELD(api_url, CONFIG_STR, "the endpoint; from the region if not given"),
    AM_FIELD(sigv4, CONFIG_STRUCT, "how requests are signed", .table = &sigv4_table),
    AM_FIELD(topic_arn, CONFIG_STR, "a topic"),
    AM_FIELD(phone_number, CONFIG_STR, "a telephone"),
    AM_FIELD(target_arn, CONFIG_STR, "an application's endpoint"),
    AM_FIELD(subject, CONFIG_STR, "heading", .default_text = AM_TEMPLATE("sns", "subject")),
    AM_FIELD(message, CONFIG_STR, "text", .default_text = AM_TEMPLATE("sns", "message")),
    AM_FIELD(attributes, CONFIG_STR_MAP, "attributes of the message"),
    AM_FIELD(use_aws_http_client, CONFIG_BOOL, "taken for compatibility"),
};
const ConfigTable receiver_sns_table = CONFIG_TABLE(Sns, "sns_config", fields, am_receiver_finish);

static bool complete(ConfigReader *reader, const AmGlobal *global, void *config, Error *err)
{
    const Sns *sns = config;
    bool one = (sns->target_arn.len > 0) ^ (sns->topic_arn.len > 0) ^ (sns->phone_number.len > 0);
    (void)global;
    return one ||
           config_error(
               reader, sns->common.node, err,
               "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config");
}

static void add(Buf *body, const char *name, Str value)
{
    buf_printf(body, "%s%s=", body->len ? "&" : "", name);
    url_add_query_escaped(body, value);
}

static void add_attribute(Buf *body, size_t index, const char *what, Str value)
{
    char name[80];
    snprintf(name, sizeof name, "MessageAttributes.entry.%zu.%s", index, what);
    add(body, name, value);
}

static int by_name(const void *a, const void *b)
{
    return str_compare(((const Label *)a)->name, ((const Label *)b)->name);
}

// Nothing tells in the text that it was cut, an attribute does. The original may leave half a character.
static Str cut_at_rune(Str text, size_t max)
{
    size_t len = MIN(text.len, max);
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return str_sub(text, 0, len);
}

static void add_attributes(AmSend *send, Buf *body, const Sns *sns, bool truncated)
{
    size_t count = 0;
    Label *all = ARENA_ARRAY(send->arena, Label, sns->attributes.count + 1);
    for (size_t i = 0; i < sns->attributes.count; i++)
        all[count++] = (Label){am_send_text(send, sns->attributes.keys[i]),
                               am_send_text(send, sns->attributes.values[i])};
    if (truncated)
        all[count++] = (Label){S("truncated"), S("true")};
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count; i++) {
        add_attribute(body, i + 1, "Name", all[i].name);
        add_attribute(body, i + 1, "Value.DataType", S("String"));
        add_attribute(body, i + 1, "Value.StringValue", all[i].value);
    }
}

static Str publish_body(AmSend *send, const Sns *sns)
{
    CLEANUP(buf_deinit) Buf body = {0};
    Str phone = am_send_text(send, sns->phone_number);
    Str topic = am_send_text(send, sns->topic_arn);
    Str target = am_send_text(send, sns->target_arn);
    Str subject = am_send_text(send, sns->subject);
    Str message = am_send_text(send, sns->message);
    size_t max = phone.len ? SMS_BYTES_MAX : MESSAGE_BYTES_MAX;
    Str cut = cut_at_rune(message, max);
    bool truncated = cut.len != message.len;
    add(&body, "Action", S("Publish"));
    add(&body, "Message", cut);
    add_attributes(send, &body, sns, truncated);
    if (str_ends_with(topic, S(".fifo"))) {
        add(&body, "MessageDeduplicationId", am_send_key(send));
        add(&body, "MessageGroupId", am_send_key(send));
    }
    if (phone.len)
        add(&body, "PhoneNumber", phone);
    if (subject.len)
        add(&body, "Subject", subject);
    if (target.len)
        add(&body, "TargetArn", target);
    if (topic.len)
        add(&body, "TopicArn", topic);
    add(&body, "Version", S("2010-03-31"));
    return arena_str(send->arena, buf_str(&body));
}

static Str env_or(Str value, const char *a, const char *b)
{
    if (value.len)
        return value;
    const char *text = getenv(a);
    if (!text || !*text)
        text = b ? getenv(b) : NULL;
    return str_from_c(text);
}

// The region of an ARN, arn:aws:sns:REGION:...
static Str arn_region(Str arn)
{
    Str piece = STR_NONE;
    for (int i = 0; i < 4; i++)
        if (!str_split_next(&arn, ':', &piece))
            return STR_NONE;
    return piece;
}

static SigV4Keys own_keys(const Sns *sns)
{
    if (sns->sigv4.access_key.len)
        return (SigV4Keys){.access_key = sns->sigv4.access_key,
                           .secret_key = sns->sigv4.secret_key};
    return (SigV4Keys){.access_key = env_or(STR_NONE, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
                       .secret_key = env_or(STR_NONE, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
                       .session_token = env_or(STR_NONE, "AWS_SESSION_TOKEN", NULL)};
}

static AmStep signed_request(AmSend *send, Str url, Str body, Str region, const char *service,
                             const SigV4Keys *keys, Error *err)
{
    Str lines[SIGV4_LINES_MAX];
    size_t count;
    if (keys->access_key.len == 0)
        return am_send_fail(
            send, err, "no AWS credentials: neither sigv4.access_key nor AWS_ACCESS_KEY_ID is set");
    AmStep step = am_send_request(send, "POST", url, S("application/x-www-form-urlencoded"), body);
    SigV4Request request = {
        .method = S("POST"),
        .url = url,
        .body = body,
        .headers = send->headers,
        .header_count = send->header_count,
        .region = region,
        .service = str_from_c(service),
        .now_ms = clock_now_ms(send->clock),
    };
    if (!sigv4_sign(&request, keys, send->arena, lines, &count, err))
        return AM_STEP_FAILED;
    for (size_t i = 0; i < count; i++)
        send->headers[send->header_count++] = lines[i];
    return step;
}

static Str region_of(AmSend *send, const Sns *sns)
{
    Str region = env_or(sns->sigv4.region, "AWS_REGION", "AWS_DEFAULT_REGION");
    return region.len ? region : arn_region(am_send_text(send, sns->topic_arn));
}

static AmStep publish(AmSend *send, const Sns *sns, const SigV4Keys *keys, Error *err)
{
    Str region = region_of(send, sns);
    Str url = am_send_text(send, sns->api_url);
    if (url.len == 0)
        url = arena_printf(send->arena, "https://sns." STR_FMT ".amazonaws.com/", STR_ARG(region));
    if (region.len == 0)
        return am_send_fail(send, err, "no AWS region: set sigv4.region or AWS_REGION");
    Str body = publish_body(send, sns);
    if (!am_send_rendered(send, err))
        return AM_STEP_FAILED;
    return signed_request(send, url, body, region, "sns", keys, err);
}

static AmStep assume_role(AmSend *send, const Sns *sns, Error *err)
{
    CLEANUP(buf_deinit) Buf body = {0};
    Str region = region_of(send, sns);
    SigV4Keys keys = own_keys(sns);
    add(&body, "Action", S("AssumeRole"));
    if (sns->sigv4.external_id.len)
        add(&body, "ExternalId", sns->sigv4.external_id);
    add(&body, "RoleArn", sns->sigv4.role_arn);
    add(&body, "RoleSessionName",
        arena_printf(send->arena, "alertmanager-%lld", (long long)clock_now_ms(send->clock)));
    add(&body, "Version", S("2011-06-15"));
    Str url = arena_printf(send->arena, "https://sts." STR_FMT ".amazonaws.com/", STR_ARG(region));
    if (region.len == 0)
        return am_send_fail(send, err, "no AWS region: set sigv4.region or AWS_REGION");
    return signed_request(send, url, arena_str(send->arena, buf_str(&body)), region, "sts", &keys,
                          err);
}

// The text of an element of the answer.
static Str element(AmSend *send, const char *name)
{
    Str body = send->response->body;
    size_t begin = str_find(body, arena_printf(send->arena, "<%s>", name));
    size_t end = str_find(body, arena_printf(send->arena, "</%s>", name));
    size_t skip = begin + strlen(name) + 2;
    if (begin == STR_NOT_FOUND || end == STR_NOT_FOUND || skip > end)
        return STR_NONE;
    return arena_str(send->arena, str_sub(body, skip, end - skip));
}

static AmStep step(AmSend *send, Error *err)
{
    const Sns *sns = send->config;
    bool has_role = sns->sigv4.role_arn.len > 0;
    SigV4Keys keys = own_keys(sns);
    if (send->step == 0 && has_role)
        return assume_role(send, sns, err);
    if (send->step == 0)
        return publish(send, sns, &keys, err);
    AmStep done = AM_CHECK(send, err);
    if (done != AM_STEP_DONE || !has_role || send->step == 2)
        return done;
    keys = (SigV4Keys){.access_key = element(send, "AccessKeyId"),
                       .secret_key = element(send, "SecretAccessKey"),
                       .session_token = element(send, "SessionToken")};
    return publish(send, sns, &keys, err);
}

const AmReceiverKind receiver_sns = {"sns", &receiver_sns_table, complete, step};
