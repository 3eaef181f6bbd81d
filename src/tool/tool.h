// SPDX-License-Identifier: Apache-2.0
// tool.h: the front desk of the command `tool`, which takes the place of promtool: checks, queries and unit tests from the command line.
#pragma once

// argv[0] is the command's or the program's name. Returns the exit status: 0 done, 1 failed (also: not understood), 3 a linter
// found something.
int tool_run(int argc, char **argv);
