// SPDX-License-Identifier: Apache-2.0
// md5.h: RFC 1321, only because relabelling's hashmod is defined by it. Not for anything that must resist an attacker.
#pragma once

#include "base/str.h"

void md5(Str bytes, uint8_t ret_digest[16]);
