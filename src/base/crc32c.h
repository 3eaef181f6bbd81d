// SPDX-License-Identifier: Apache-2.0
// crc32c.h: CRC-32 Castagnoli, as everywhere in Prometheus' storage.
#pragma once

#include "base/str.h"

// The checksum of `bytes`; crc32c_more continues an earlier one.
uint32_t crc32c(Str bytes);
uint32_t crc32c_more(uint32_t crc, Str bytes);
