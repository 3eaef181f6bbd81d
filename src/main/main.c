// SPDX-License-Identifier: Apache-2.0
// One binary, many commands: the first argument, or the name it is called under, picks the role.
#include <signal.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/footprint.h"
#include "config/flags.h"
#include "main/roles.h"
#include "main/server_flags.h"

static void print_commands(FILE *out)
{
    fprintf(out, "usage: narthex [<command>] [<flags>]\n\n"
                 "Without a command, the whole stack in one process on "
                 "http://localhost:9090.\n\nCommands:\n");
    for (size_t i = 0; i < role_count; i++) {
        fprintf(out, "  %-16s %s\n", roles[i].name, roles[i].summary);
        for (size_t a = 0; roles[i].aliases[a]; a++)
            fprintf(out, "  %-16s   also as a link named %s\n", "", roles[i].aliases[a]);
    }
    fprintf(out, "  %-16s %s\n  %-16s %s\n\nEach command tells its flags with --help.\n", "help",
            "Shows this page.", "version", "Shows the version.");
}

int main(int argc, char **argv)
{
    // A peer that goes away is an error of that write, not of the process.
    signal(SIGPIPE, SIG_IGN);
    // A file that may not grow any more is an error of that write, too.
    signal(SIGXFSZ, SIG_IGN);
    footprint_setup();

    Str program = str_from_c(argc > 0 ? argv[0] : "narthex");
    size_t slash = str_rfind_char(program, '/');
    const Role *role = role_find(slash == STR_NOT_FOUND ? program : str_skip(program, slash + 1));
    if (role)
        return role->run(argc, argv);

    Str command = str_from_c(argc > 1 ? argv[1] : "");
    if (str_is(command, "help")) {
        print_commands(stdout);
        return 0;
    }
    if (str_is(command, "version") || str_is(command, "--version")) {
        printf("narthex, version %s\n", NARTHEX_VERSION);
        return 0;
    }
    if (command.len == 0 || command.ptr[0] == '-' || command.ptr[0] == '@')
        return role_stack(argc, argv);

    role = role_find(command);
    if (role)
        return role->run(argc - 1, argv + 1);
    const char *nearest = role_suggest(command);
    fprintf(stderr, "narthex: error: unknown command \"" STR_FMT "\"%s%s%s, try `narthex help`\n",
            STR_ARG(str_sub(command, 0, 100)), nearest ? ", did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"" : "");
    return 2;
}
