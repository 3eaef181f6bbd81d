// SPDX-License-Identifier: Apache-2.0
#include "main/roles.h"
#include "tool/tool.h"

int role_tool(int argc, char **argv)
{
    return tool_run(argc, argv);
}
