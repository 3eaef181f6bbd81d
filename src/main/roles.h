// SPDX-License-Identifier: Apache-2.0
// roles.h: the table of commands. To add one, write role_x.c and one row in roles.c.
#pragma once

#include "base/macros.h"
#include "base/str.h"

typedef struct Role {
    const char *name;
    const char *const
        *aliases; // the original's program names, NULL-terminated: a link named so runs this role
    const char *summary;
    // argv[0] is the program's or command's name. Returns the exit status: 0 done, 1 failed, 2 bad flags or configuration.
    int (*run)(int argc, char **argv);
} Role;

extern const Role roles[];
extern const size_t role_count;

// The role of a command or a program's name; NULL if there is none.
const Role *role_find(Str name);
// The nearest name to a mistyped one, or NULL.
const char *role_suggest(Str name);

int role_stack(int argc, char **argv); // no command: everything in one process
int role_server(int argc, char **argv);
int role_alertmanager(int argc, char **argv);
int role_node_exporter(int argc, char **argv);
int role_tool(int argc, char **argv);
