// SPDX-License-Identifier: Apache-2.0
// web_listen.h: --web.config.file, for every role that listens.
#pragma once

#include "net/web_gate.h"

// An empty path is no gate (*ret_gate NULL). What breaks the file later is logged, and answered with 500 until it is mended.
bool web_listen_open(Str path, WebGate **ret_gate, Error *err) MUST_CHECK;
