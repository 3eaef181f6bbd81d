// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include "base/test.h"

typedef struct Auth {
    Str user;
    Str password;
} Auth;

typedef struct Common {
    bool follow;
    Str proxy;
} Common;

typedef struct Job {
    Str name;
    int64_t interval_ms;
    uint64_t limit;
    uint64_t body_bytes;
    double factor;
    int scheme;
    Str file;
    ConfigStrList modules;
    ConfigStrList sources;
    ConfigStrListMap params;
    ConfigStrMap labels;
    Auth *auth;
    Common common;
    Str shout;
    bool saw_limit;
} Job;

typedef struct Root {
    Auth auth;
    ConfigList jobs;
} Root;

static const ConfigField auth_fields[] = {
    {.key = "user", .kind = CONFIG_STR, .offset = offsetof(Auth, user)},
    {.key = "password", .kind = CONFIG_SECRET, .offset = offsetof(Auth, password)},
};
static const ConfigTable auth_table = CONFIG_TABLE(Auth, "auth", auth_fields, NULL);

static const ConfigField common_fields[] = {
    {.key = "follow",
     .kind = CONFIG_BOOL,
     .offset = offsetof(Common, follow),
     .default_text = "true"},
    {.key = "proxy", .kind = CONFIG_STR, .offset = offsetof(Common, proxy)},
};
static const ConfigTable common_table = CONFIG_TABLE(Common, "common", common_fields, NULL);

static bool decode_shout(ConfigReader *reader, const YamlNode *node, void *member, Error *err)
{
    if (node->kind != YAML_SCALAR)
        return config_error(reader, node, err, "shout: nothing to shout");
    *(Str *)member = arena_printf(reader->arena, STR_FMT "!", STR_ARG(node->scalar));
    return true;
}

static void print_shout(Buf *buf, int indent, const char *key, const void *member)
{
    const Str *text = member;
    if (text->len)
        buf_printf(buf, "%*s%s: " STR_FMT "\n", indent, "", key, STR_ARG(*text));
}

static bool finish_job(ConfigReader *reader, const YamlNode *node, void *object, Error *err)
{
    const Job *job = object;
    if (job->limit == 13)
        return config_error(reader, node, err, "limit of job \"" STR_FMT "\" is unlucky",
                            STR_ARG(job->name));
    return true;
}

static const char *const schemes[] = {"http", "https", NULL};
// clang-format off
static const ConfigField job_fields[] = {
    {.key = "name", .kind = CONFIG_STR, .offset = offsetof(Job, name), .required = true, .help = "Its name."},
    {.key = "interval", .kind = CONFIG_DURATION, .offset = offsetof(Job, interval_ms), .default_text = "1m", .min = 1,
     .max = 3600000},
    {.key = "limit", .kind = CONFIG_U64, .offset = offsetof(Job, limit), .present_offset = offsetof(Job, saw_limit)},
    {.key = "body_size", .kind = CONFIG_SIZE, .offset = offsetof(Job, body_bytes)},
    {.key = "factor", .kind = CONFIG_DOUBLE, .offset = offsetof(Job, factor)},
    {.key = "scheme", .kind = CONFIG_ENUM, .offset = offsetof(Job, scheme), .words = schemes, .default_text = "http"},
    {.key = "file", .kind = CONFIG_PATH, .offset = offsetof(Job, file)},
    {.key = "modules", .kind = CONFIG_STR_LIST, .offset = offsetof(Job, modules)},
    {.key = "sources", .kind = CONFIG_STR_LIST, .offset = offsetof(Job, sources), .flow = true},
    {.key = "params", .kind = CONFIG_STR_LIST_MAP, .offset = offsetof(Job, params)},
    {.key = "labels", .kind = CONFIG_STR_MAP, .offset = offsetof(Job, labels)},
    {.key = "auth", .kind = CONFIG_STRUCT_PTR, .offset = offsetof(Job, auth), .table = &auth_table},
    {.key = "", .kind = CONFIG_INLINE, .offset = offsetof(Job, common), .table = &common_table},
    {.key = "shout", .kind = CONFIG_CUSTOM, .offset = offsetof(Job, shout), .decode = decode_shout, .print = print_shout},
};
// clang-format on
static const ConfigTable job_table = CONFIG_TABLE(Job, "job_config", job_fields, finish_job);

static const ConfigField root_fields[] = {
    {.key = "auth", .kind = CONFIG_STRUCT, .offset = offsetof(Root, auth), .table = &auth_table},
    {.key = "jobs",
     .kind = CONFIG_STRUCT_LIST,
     .offset = offsetof(Root, jobs),
     .table = &job_table},
};
static const ConfigTable root_table = CONFIG_TABLE(Root, "root", root_fields, NULL);

static bool load(Arena *arena, Str text, Root *root, Error *err)
{
    ConfigReader reader = {.arena = arena, .file_name = S("c.yml"), .folder = S("/etc/x")};
    YamlNode *node;
    return yaml_parse(text, S("c.yml"), arena, &node, err) &&
           config_decode(&reader, &root_table, node, root, err);
}

TEST(config, of_a_file_the_first_document_is_taken)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    YamlNode *root;
    Error err = {0};

    CHECK_OK(config_yaml(S("a: 1\n---\nb: {\n"), S("c.yml"), &arena, &root, &err), err);
    CHECK_EQ(root->count, 1);
    CHECK_STR(root->keys[0]->scalar, S("a"));
    CHECK(!config_yaml(S("a: {\n---\nb: 1\n"), S("c.yml"), &arena, &root, &err));
}

TEST(config, fills_members_and_defaults)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Root root;
    Error err = {0};

    CHECK_OK(
        load(&arena,
             S("jobs:\n- name: a\n- name: 12\n  interval: 1m30s\n  limit: 18446744073709551615\n  "
               "body_size: 10MB\n"
               "  factor: 1.5\n  scheme: https\n  file: sub/x\n  modules: [m, n]\n  params: {p: "
               "[q, r]}\n"
               "  labels: {l: 5}\n  auth: {user: u, password: p}\n  follow: no\n  shout: hey\n"),
             &root, &err),
        err);

    CHECK_EQ(root.jobs.count, 2);
    const Job *first = root.jobs.items;
    CHECK_EQ(first->interval_ms, 60000);
    CHECK(first->common.follow);
    CHECK(first->auth == NULL);
    CHECK(!first->saw_limit);
    const Job *job = first + 1;
    CHECK_STR(job->name, S("12"));
    CHECK_EQ(job->interval_ms, 90000);
    CHECK(job->limit == UINT64_MAX);
    CHECK(job->saw_limit);
    CHECK_EQ(job->body_bytes, 10 << 20);
    CHECK_DOUBLE(job->factor, 1.5);
    CHECK_EQ(job->scheme, 1);
    CHECK_STR(job->file, S("/etc/x/sub/x"));
    CHECK_EQ(job->modules.count, 2);
    CHECK_STR(job->params.values[0].items[1], S("r"));
    CHECK_STR(job->labels.values[0], S("5"));
    CHECK_STR(job->auth->password, S("p"));
    CHECK(!job->common.follow);
    CHECK_STR(job->shout, S("hey!"));
}

TEST(config, prints_back_as_yaml_v2)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    CLEANUP(buf_deinit) Buf out = {0};
    Root root;
    Error err = {0};
    CHECK_OK(load(&arena,
                  S("auth: {password: x}\njobs:\n- name: a\n  modules: [m, 'y']\n  sources: [s, "
                    "t]\n  body_size: 1536KB\n"
                    "  params: {z: [q], b: []}\n  auth: {user: u, password: p}\n  follow: false\n- "
                    "name: b\n  shout: hey\n"),
                  &root, &err),
             err);

    config_print(&out, 0, &root_table, &root);

    Str want =
        S("auth:\n  password: <secret>\njobs:\n- name: a\n  interval: 1m\n  body_size: "
          "1MiB512KiB\n  scheme: http\n"
          "  modules:\n  - m\n  - \"y\"\n  sources: [s, t]\n  params:\n    b: []\n    z:\n    - q\n"
          "  auth:\n    user: u\n    password: <secret>\n  follow: false\n"
          "- name: b\n  interval: 1m\n  scheme: http\n  follow: true\n  shout: hey!\n");
    CHECK_STR(buf_str(&out), want);
    Root again;
    CHECK_OK(load(&arena, buf_str(&out), &again, &err), err);
}

TEST(config, faults_name_place_and_key)
{
    static const struct {
        const char *name;
        Str text;
        const char *want;
    } cases[] = {
        {"unknown key with a neighbour", STR("jobs:\n- name: a\n  intervall: 5s\n"),
         "c.yml:3:3: field intervall not found in job_config, did you mean interval?"},
        {"unknown key in an inline table is told of the outer",
         STR("jobs:\n- name: a\n  folow: true\n"),
         "c.yml:3:3: field folow not found in job_config, did you mean follow?"},
        {"unknown key without a neighbour", STR("quux: 1\n"),
         "c.yml:1:1: field quux not found in root"},
        {"null item", STR("jobs:\n  - name: a\n  -\n"),
         "c.yml:3:4: jobs: empty or null job_config in list"},
        {"null string item", STR("jobs:\n- name: a\n  modules: [a, ]\n  sources: [~]\n"),
         "sources: empty or null item"},
        {"missing", STR("jobs:\n- limit: 4\n"), "c.yml:2:3: name is missing in job_config"},
        {"not a duration", STR("jobs:\n- name: a\n  interval: fast\n"), "c.yml:3:13: interval: "},
        {"out of range", STR("jobs:\n- name: a\n  interval: 2h\n"),
         "c.yml:3:13: interval: 2h is not between"},
        {"not a number", STR("jobs:\n- name: a\n  limit: -1\n"),
         "c.yml:3:10: limit: expected a non-negative integer, got \"-1\""},
        {"unit missing", STR("jobs:\n- name: a\n  body_size: 10\n"),
         "c.yml:3:14: body_size: \"10\" is not a size"},
        {"unknown word", STR("jobs:\n- name: a\n  scheme: ftp\n"),
         "c.yml:3:11: scheme: unknown value \"ftp\", expected one of: http, https"},
        {"list expected", STR("jobs: 5\n"), "c.yml:1:7: jobs: expected a list, got a scalar"},
        {"mapping expected", STR("jobs: [5]\n"), "c.yml:1:8: job_config: expected a mapping"},
        {"custom decoder", STR("jobs:\n- name: a\n  shout: []\n"),
         "c.yml:3:10: shout: nothing to shout"},
        {"finish", STR("jobs:\n- name: a\n  limit: 13\n"),
         "c.yml:2:3: limit of job \"a\" is unlucky"},
    };

    EACH_CASE(c, cases) {
        CLEANUP(arena_deinit) Arena arena = {0};
        Root root;
        Error err = {0};

        CHECK(!load(&arena, c->text, &root, &err));

        CHECK_HAS(err.text, c->want);
        CHECK_EQ(err.code, ERR_INVALID);
    }
}

TEST(config, null_empties_a_member_but_keeps_a_struct)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Root root;
    Error err = {0};

    CHECK_OK(
        load(&arena, S("auth:\njobs:\n- name: a\n  interval:\n  auth:\n  modules:\n"), &root, &err),
        err);

    const Job *job = root.jobs.items;
    CHECK_EQ(job->interval_ms, 0);
    CHECK(job->auth == NULL);
    CHECK_EQ(job->modules.count, 0);
}

TEST(config, sizes_read_and_print)
{
    static const struct {
        const char *name;
        Str text;
        bool want_ok;
        uint64_t want;
        Str want_text;
    } cases[] = {
        {"zero", STR("0"), true, 0, STR("0B")},
        {"bytes", STR("1B"), true, 1, STR("1B")},
        {"kilobytes are binary", STR("2KB"), true, 2048, STR("2KiB")},
        {"iB", STR("512MiB"), true, 512 << 20, STR("512MiB")},
        {"fraction", STR("1.5GB"), true, 1610612736, STR("1GiB512MiB")},
        {"sum", STR("1GB512MB"), true, 1610612736, STR("1GiB512MiB")},
        {"exabytes", STR("7EB"), true, 8070450532247928832, STR("7EiB")},
        {"too large", STR("8EB"), false, 0, STR("")},
        {"no unit", STR("12"), false, 0, STR("")},
        {"lower case", STR("12mb"), false, 0, STR("")},
        {"negative", STR("-1MB"), false, 0, STR("")},
        {"empty", STR(""), false, 0, STR("")},
        {"two points", STR("1.2.3MB"), false, 0, STR("")},
    };

    EACH_CASE(c, cases) {
        uint64_t got = 0;
        Error err = {0};
        CLEANUP(buf_deinit) Buf out = {0};

        bool ok = config_size_parse(c->text, &got, &err);

        CHECK_EQ(ok, c->want_ok);
        CHECK_EQ(got, c->want);
        if (ok) {
            config_size_print(&out, got);
            CHECK_STR(buf_str(&out), c->want_text);
        } else {
            CHECK_EQ(err.code, ERR_INVALID);
        }
    }
}

static void count_release(void *object)
{
    (*(int *)object)++;
}

TEST(config, urls_are_those_that_go_reads)
{
    static const struct {
        const char *url, *want; // "": good
    } cases[] = {
        {"", ""},
        {"http://a", ""},
        {"a", ""},
        {"a/b:c", ""},
        {"a:b", ""},
        {"/x:y", ""},
        {"unix:///var/run/docker.sock", ""},
        {"http://u:p@h:80/p?q#f", ""},
        {"http://[::1]:80/", ""},
        {"http://[fe80::1%25eth0]/", ""},
        {"http://h:/x", ""},
        {"http://h/%41", ""},
        {"http://h/a b", ""},
        {"http://h?%zz", ""},
        {":", "missing protocol scheme"},
        {"://a", "missing protocol scheme"},
        {"127.0.0.1:80", "first path segment in URL cannot contain colon"},
        {"http://a b", "invalid character \" \" in host name"},
        {"http://h:80:81", ""},
        {"http://h:x", "invalid port \":x\" after host"},
        {"http://[::1", "missing ']' in host"},
        {"http://[::1]80", "invalid port \"80\" after host"},
        {"http://h/%4", "invalid URL escape \"%4\""},
        {"http://h/%zz", "invalid URL escape \"%zz\""},
        {"http://u:%zz@h/", "net/url: invalid userinfo"},
        {"http://h/\n", "net/url: invalid control character in URL"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Error err = {0};
        CHECK_EQ(config_url_check(str_from_c(cases[i].url), &err), cases[i].want[0] == 0);
        CHECK_STR(str_from_c(err.text), str_from_c(cases[i].want));
    }
}

TEST(config, releases_run_once)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    ConfigReader reader = {.arena = &arena};
    int released = 0;

    config_on_release(&reader, count_release, &released);
    config_on_release(&reader, count_release, &released);
    config_release(&reader);
    config_release(&reader);

    CHECK_EQ(released, 2);
}

TEST(config, fingerprints_tell_secrets_apart)
{
    CLEANUP(arena_deinit) Arena arena = {0};
    Auth one = {S("u"), S("p")};
    Auth other = {S("u"), S("q")};

    Str first = config_fingerprint(&arena, &auth_table, &one);

    CHECK(str_equal(first, config_fingerprint(&arena, &auth_table, &one)));
    CHECK(!str_equal(first, config_fingerprint(&arena, &auth_table, &other)));
}

TEST(config, describes_a_table)
{
    CLEANUP(buf_deinit) Buf out = {0};

    config_describe(&out, &job_table);
    buf_add_char(&out, 0);

    CHECK_HAS(out.ptr, "| `name` | string | required | Its name. |\n");
    CHECK_HAS(out.ptr, "| `follow` | boolean | `true` |  |\n");
    CHECK_HAS(out.ptr, "| `scheme` | one of `http` `https` | `http` |  |\n");
}

TEST_MAIN(config, TEST_ROW(config, of_a_file_the_first_document_is_taken),
          TEST_ROW(config, fills_members_and_defaults), TEST_ROW(config, prints_back_as_yaml_v2),
          TEST_ROW(config, faults_name_place_and_key),
          TEST_ROW(config, null_empties_a_member_but_keeps_a_struct),
          TEST_ROW(config, sizes_read_and_print), TEST_ROW(config, fingerprints_tell_secrets_apart),
          TEST_ROW(config, urls_are_those_that_go_reads), TEST_ROW(config, releases_run_once),
          TEST_ROW(config, describes_a_table))
