// SPDX-License-Identifier: Apache-2.0
#include "net/aws_machine.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/timefmt.h"
#include "codec/json_reader.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define METADATA_HOST "http://169.254.169.254"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_GOOD_S 21600
#define TIMEOUT_MS 2000
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

typedef enum Step { STEP_TOKEN, STEP_ROLE, STEP_KEYS } Step;

struct AwsMachine {
    HttpClient *client;
    Arena arena; // of one fetch
    Step step;
    Str token_line; // a header
    AwsMachineFn done;
    void *arg;
};

static Str env(const char *name)
{
    return str_from_c(getenv(name));
}

AwsMachine *aws_machine_new(HttpClient *client)
{
    AwsMachine *machine = X_NEW(AwsMachine);
    machine->client = client;
    return machine;
}

void aws_machine_free(AwsMachine *machine)
{
    if (!machine)
        return;
    arena_deinit(&machine->arena);
    free(machine);
}

static bool has_container(void)
{
    return env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").len ||
           env("AWS_CONTAINER_CREDENTIALS_FULL_URI").len;
}

bool aws_machine_can_ask(void)
{
    return has_container() || !str_equal_nocase(env("AWS_EC2_METADATA_DISABLED"), S("true"));
}

static void on_answer(void *arg, const HttpResponse *response);

static void ask(AwsMachine *machine, Step step, Str method, Str url, Str header)
{
    HttpCallOptions call = {.method = method,
                            .url = url,
                            .headers = &header,
                            .header_count = header.len > 0,
                            .timeout_ms = TIMEOUT_MS,
                            .body_bytes_max = ANSWER_BYTES_MAX,
                            .done = on_answer,
                            .arg = machine};
    machine->step = step;
    http_call(machine->client, &call);
}

static Str metadata_url(AwsMachine *machine, const char *path, Str more)
{
    Str host = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    host = host.len ? host : S(METADATA_HOST);
    while (str_ends_with(host, S("/")))
        host.len--;
    return arena_printf(&machine->arena, STR_FMT "%s" STR_FMT, STR_ARG(host), path, STR_ARG(more));
}

static void finish(AwsMachine *machine, const SigV4Keys *keys, int64_t good_until_ms,
                   const Error *err)
{
    AwsMachineFn done = machine->done;
    machine->done = NULL;
    if (done)
        done(machine->arg, keys, good_until_ms, err);
}

static Str text_of(const JsonValue *json, const char *name)
{
    const JsonValue *value = json_get(json, str_from_c(name));
    return value && value->kind == JSON_STRING ? value->str : STR_NONE;
}

static bool read_keys(AwsMachine *machine, Str body, Error *err)
{
    JsonValue *json;
    int64_t until_ms = INT64_MAX;
    Error why = {0};
    if (!json_read(body, &machine->arena, &json, &why))
        return error_set(err, ERR_INVALID, "the machine's credentials are no JSON: %s", why.text);
    SigV4Keys keys = {text_of(json, "AccessKeyId"), text_of(json, "SecretAccessKey"),
                      text_of(json, "Token")};
    Str until = text_of(json, "Expiration");
    if (keys.access_key.len == 0 || keys.secret_key.len == 0 ||
        (until.len && !rfc3339_parse(until, &until_ms, &why)))
        return error_set(err, ERR_INVALID, "the machine's answer has no credentials");
    finish(machine, &keys, until_ms, NULL);
    return true;
}

// The next step, or the end. False: err says why it goes on no more.
static bool take(AwsMachine *machine, const HttpResponse *response, Error *err)
{
    Str body = str_trim(response->body);
    // An old metadata service has no tokens; all else must be there.
    if (response->status != 200 && machine->step != STEP_TOKEN)
        return error_set(err, ERR_UNAVAILABLE, "the machine has no credentials: HTTP status %d",
                         response->status);
    switch (machine->step) {
    case STEP_TOKEN:
        machine->token_line =
            response->status == 200
                ? arena_printf(&machine->arena, "X-aws-ec2-metadata-token: " STR_FMT, STR_ARG(body))
                : STR_NONE;
        ask(machine, STEP_ROLE, S("GET"), metadata_url(machine, ROLE_PATH, STR_NONE),
            machine->token_line);
        return true;
    case STEP_ROLE:
        ask(machine, STEP_KEYS, S("GET"),
            metadata_url(machine, ROLE_PATH,
                         str_sub(body, 0, MIN(str_find_char(body, '\n'), body.len))),
            machine->token_line);
        return true;
    default:
        return read_keys(machine, body, err);
    }
}

static void on_answer(void *arg, const HttpResponse *response)
{
    AwsMachine *machine = arg;
    Error err = {0};
    bool ok = false;
    if (!machine->done)
        return;
    if (response->err)
        err = *response->err;
    else
        ok = take(machine, response, &err);
    if (!ok)
        finish(machine, NULL, 0, &err);
}

// The Authorization that the container's endpoint wants, if any.
static bool container_line(AwsMachine *machine, Str *ret_line, Error *err)
{
    Str file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    Str token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file.len && !fs_read_file(&fs_system, file, &machine->arena, ANSWER_BYTES_MAX, &token, err))
        return error_context(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    token = str_trim(token);
    *ret_line = token.len ? arena_printf(&machine->arena, "Authorization: " STR_FMT, STR_ARG(token))
                          : STR_NONE;
    return true;
}

bool aws_machine_fetch(AwsMachine *machine, AwsMachineFn done, void *arg, Error *err)
{
    Str relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    Str line = STR_NONE;
    arena_reset(&machine->arena);
    if (has_container() && !container_line(machine, &line, err))
        return false;
    machine->done = done;
    machine->arg = arg;
    if (has_container())
        ask(machine, STEP_KEYS, S("GET"),
            relative.len ? arena_printf(&machine->arena, CONTAINER_HOST STR_FMT, STR_ARG(relative))
                         : env("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            line);
    else
        ask(machine, STEP_TOKEN, S("PUT"), metadata_url(machine, "/latest/api/token", STR_NONE),
            arena_printf(&machine->arena, "X-aws-ec2-metadata-token-ttl-seconds: %d",
                         TOKEN_GOOD_S));
    return true;
}
