// SPDX-License-Identifier: Apache-2.0
#include "main/roles.h"
#include "main/server_run.h"

int role_server(int argc, char **argv)
{
    return server_run(&server_flag_table, argc, argv, false);
}

int role_stack(int argc, char **argv)
{
    return server_run(&server_flag_table_stack, argc, argv, true);
}
