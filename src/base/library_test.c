// SPDX-License-Identifier: Apache-2.0
#include "base/library.h"

#include "base/test.h"

// Whatever else is missing, this one is there.
static const Library libc = {
    .file = "libc.so.6", .needed_by = "tests need", .package = "libc6", .code = ERR_INVALID};

TEST(library, fills_what_was_asked_for)
{
    size_t (*length)(const char *) = NULL;
    int (*number)(const char *) = NULL;
    const LibrarySymbol symbols[] = {{"strlen", &length}, {"atoi", &number}};
    Error err = {0};

    bool ok = library_load(&libc, symbols, COUNT_OF(symbols), &err);

    CHECK_OK(ok, err);
    CHECK_EQ(length("four"), 4);
    CHECK_EQ(number("17"), 17);
}

TEST(library, names_a_missing_library_and_its_package)
{
    static const Library library = {.file = "libnowhere.so.1",
                                    .needed_by = "tests need",
                                    .package = "libnowhere1",
                                    .code = ERR_UNAVAILABLE};
    Error err = {0};

    bool ok = library_load(&library, NULL, 0, &err);

    CHECK(!ok);
    CHECK_EQ(err.code, ERR_UNAVAILABLE);
    CHECK_HAS(err.text, "tests need libnowhere.so.1 (Debian's package libnowhere1): ");
}

TEST(library, names_a_missing_function)
{
    void *function = NULL;
    const LibrarySymbol symbols[] = {{"no_such_function", &function}};
    Error err = {0};

    bool ok = library_load(&libc, symbols, COUNT_OF(symbols), &err);

    CHECK(!ok);
    CHECK_EQ(err.code, ERR_INVALID);
    CHECK_STR(str_from_c(err.text), S("libc.so.6 has no no_such_function"));
}

TEST_MAIN(library, TEST_ROW(library, fills_what_was_asked_for),
          TEST_ROW(library, names_a_missing_library_and_its_package),
          TEST_ROW(library, names_a_missing_function))
