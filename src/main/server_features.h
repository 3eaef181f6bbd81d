// SPDX-License-Identifier: Apache-2.0
// server_features.h: what --enable-feature may name. Facts: prometheus.md section 2.2.
#pragma once

#include "main/server_flags.h"

// Tells in the log what has no effect here, and why. Fails if two features exclude each other.
bool server_features_check(const ServerFlags *flags, Error *err) MUST_CHECK;
