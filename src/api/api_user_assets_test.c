// SPDX-License-Identifier: Apache-2.0
// Consoles and files of users.
#include "api/api_test_util.h"

static void write_file(const Fixture *f, const char *name, const char *text)
{
    char path[200];
    Error err;
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    CHECK_OK(fs_write_atomic(&fs_system, str_from_c(path), str_from_c(text), &err), err);
}

TEST(api_user_assets, consoles_are_pages_of_templates)
{
    Fixture f;
    start(&f);
    f.api.console_templates = f.api.console_libraries = str_from_c(f.dir);
    write_file(&f, "menu.lib", "{{ define \"head\" }}<title>{{ . }}</title>{{ end }}");
    write_file(&f, "index.html",
               "{{ template \"head\" .Path }}{{ range query \"m{a='2'}\" }}<p title=\"{{ .Labels.q "
               "}}\">{{ .Value }}</p>"
               "{{ end }}<i>{{ $params.x }}{{ index .RawParams.x 1 }}[{{ .Params.nope }}]{{ "
               "$externalLabels.dc }}</i>"
               "{{ tmpl \"head\" \"<\" }}<a href=\"{{ pathPrefix }}/?q={{ $params.x }}\">{{ "
               "externalURL }}</a>");
    write_file(&f, "bad.html", "{{ .Nope }}");

    CHECK_HAS(get(&f, "/consoles/index.html?x=%3Cb%3E&x=2&a=1"),
              "<title>index.html</title><p title=\"&#34;&lt;\n\">-10</p><i>&lt;b&gt;2[]");
    CHECK_HAS(f.reply.body.ptr,
              "</i><title>&lt;</title><a href=\"/?q=%3cb%3e\">http://outside:9090</a>");
    CHECK_EQ(f.reply.status, 200);
    CHECK_STR(f.reply.content_type, S("text/html; charset=utf-8"));
    CHECK_HAS(get(&f, "/consoles/bad.html"),
              "error executing template __console_/bad.html: template: __console_/bad.html:1:");
    CHECK_EQ(f.reply.status, 500);
    get(&f, "/consoles/none.html");
    CHECK_EQ(f.reply.status, 404);
    get(&f, "/consoles/%2e%2e/etc/passwd");
    CHECK_EQ(f.reply.status, 404);
    stop(&f);
}

TEST(api_user_assets, files_of_users_are_served_as_go_serves_a_folder)
{
    static const struct {
        const char *name; // and path
        int status;
        const char *type, *body, *location;
    } cases[] = {
        {"/user/a.js", 200, "text/javascript; charset=utf-8", "let a;", ""},
        {"/user//./a.js?x=1", 200, "text/javascript; charset=utf-8", "let a;", ""},
        {"/user/notes", 200, "text/plain; charset=utf-8", "words", ""},
        {"/user/raw", 200, "application/octet-stream", "\x01\x02", ""},
        {"/user/link", 200, "text/plain; charset=utf-8", "words", ""},
        {"/user/sub", 301, "text/plain; charset=utf-8", "", "sub/"},
        {"/user/sub?q=1", 301, "text/plain; charset=utf-8", "", "sub/?q=1"},
        {"/user/sub/", 200, "text/html; charset=utf-8", "<p>index</p>", ""},
        {"/user/sub/index.html", 301, "text/plain; charset=utf-8", "", "./"},
        {"/user/a.js/", 301, "text/plain; charset=utf-8", "", "../a.js"},
        {"/user/list/", 200, "text/html; charset=utf-8",
         "<pre>\n<a href=\"a%3Cb%3E%26.txt\">a&lt;b&gt;&amp;.txt</a>\n<a "
         "href=\"./c:d\">c:d</a>\n</pre>\n",
         ""},
        {"/user/none", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/pipe", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        // Nothing above the folder: what is clean begins at its top.
        {"/user/../secret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/%2e%2e/secret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/..%2fsecret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/sub/../../secret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/sub/%2e%2e/../secret", 404, "text/plain; charset=utf-8", "404 page not found\n",
         ""},
        {"/user/....//secret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/..\\secret", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/a.js%00.png", 404, "text/plain; charset=utf-8", "404 page not found\n", ""},
        {"/user/sub/../a.js", 200, "text/javascript; charset=utf-8", "let a;", ""},
    };
    char path[200];
    Fixture f;
    Error err;
    start(&f);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/assets/%s", f.dir, i ? "list" : "sub");
        CHECK_OK(fs_make_dirs(&fs_system, str_from_c(path), &err), err);
    }
    write_file(&f, "secret", "not for you");
    write_file(&f, "assets/a.js", "let a;");
    write_file(&f, "assets/notes", "words");
    write_file(&f, "assets/raw", "\x01\x02");
    write_file(&f, "assets/sub/index.html", "<p>index</p>");
    write_file(&f, "assets/list/a<b>&.txt", "");
    write_file(&f, "assets/list/c:d", "");
    snprintf(path, sizeof path, "%s/assets/pipe", f.dir);
    CHECK_EQ(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/assets/link", f.dir);
    CHECK_EQ(symlink("notes", path), 0);
    snprintf(path, sizeof path, "%s/assets", f.dir);
    f.api.user_assets = str_from_c(path);

    EACH_CASE(c, cases) {
        get(&f, c->name);
        CHECK_EQ(f.reply.status, c->status);
        CHECK_STR(f.reply.content_type, str_from_c(c->type));
        CHECK_HAS(f.reply.body.ptr, c->body);
        CHECK_STR(header(&f, "Location"), str_from_c(c->location));
    }
    stop(&f);
}

static void get_with(Fixture *f, const char *target, const char *name, const char *value)
{
    HttpPair pair = {str_from_c(name), str_from_c(value)};
    buf_deinit(&f->reply.body);
    http_fake_request(&f->request, &f->reply, &f->arena, S("GET"), str_from_c(target), STR_NONE);
    f->request.headers = &pair;
    f->request.header_count = 1;
    api_handle(&f->api, &f->request);
}

TEST(api_user_assets, ranges_of_files_of_users_are_served)
{
    static const struct {
        const char *name; // and Range
        int status;
        size_t bytes;
        char first;
        const char *content_range;
    } cases[] = {
        {"", 200, 300000, 'a', ""},
        {"bytes=0-0", 206, 1, 'a', "bytes 0-0/300000"},
        {"bytes=27-", 206, 299973, 'b', "bytes 27-299999/300000"},
        {"bytes=-2", 206, 2, 'k', "bytes 299998-299999/300000"},
        {"bytes=-400000", 206, 300000, 'a', "bytes 0-299999/300000"},
        {"bytes=299999-400000", 206, 1, 'l', "bytes 299999-299999/300000"},
        {"bytes=300000-", 416, 33, 'i', "bytes */300000"},
        {"bytes=-0", 416, 33, 'i', "bytes */300000"},
        {"bytes=5-3", 200, 300000, 'a', ""},
        {"bytes=0-1,3-4", 200, 300000, 'a', ""},
        {"lines=0-1", 200, 300000, 'a', ""},
        {"bytes=99999999999999999999-", 200, 300000, 'a', ""},
    };
    char *text = malloc(300001);
    Fixture f;
    start(&f);
    for (int i = 0; i < 300000; i++)
        text[i] = (char)('a' + i % 26);
    text[300000] = 0;
    write_file(&f, "big.txt", text);
    f.api.user_assets = str_from_c(f.dir);

    EACH_CASE(c, cases) {
        get_with(&f, "/user/big.txt", "Range", c->name);
        CHECK_EQ(f.reply.status, c->status);
        CHECK_EQ(f.reply.body.len, c->bytes);
        CHECK_EQ(f.reply.body.ptr[0], c->first);
        CHECK_STR(header(&f, "Content-Range"), str_from_c(c->content_range));
    }
    char modified[64];
    snprintf(modified, sizeof modified, STR_FMT, STR_ARG(header(&f, "Last-Modified")));
    get_with(&f, "/user/big.txt", "If-Modified-Since", modified);
    CHECK_EQ(f.reply.status, 304);
    f.api.user_assets = STR_NONE;
    get(&f, "/user/big.txt");
    CHECK_EQ(f.reply.status, 404);
    free(text);
    stop(&f);
}

TEST_MAIN(api_user_assets, TEST_ROW(api_user_assets, consoles_are_pages_of_templates),
          TEST_ROW(api_user_assets, files_of_users_are_served_as_go_serves_a_folder),
          TEST_ROW(api_user_assets, ranges_of_files_of_users_are_served))
