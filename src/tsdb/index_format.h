// SPDX-License-Identifier: Apache-2.0
// index_format.h: what the writer and the reader of a block's index agree on (prometheus.md 6.4).
//
//     | magic, version | symbols | series, each aligned to 16 | postings lists, each aligned to 4 | postings offset table | TOC |
#pragma once

#include "base/macros.h"

#define INDEX_MAGIC 0xBAAAD700u
#define INDEX_VERSION 2
#define INDEX_VERSION_FIRST 1 // of Prometheus 2.0; read, not written
#define INDEX_VERSION_NEXT 3  // laid out alike; read, not written
#define INDEX_HEADER_BYTES 5
#define INDEX_SERIES_ALIGN 16
#define INDEX_TOC_BYTES 52
#define INDEX_BYTES_MAX (UINT64_C(64) << 30)
#define INDEX_LABELS_MAX 10000 // of one series; more are taken for corrupt

#define BLOCK_SEGMENT_MAGIC 0x85BD40DDu
#define BLOCK_SEGMENT_VERSION 1
#define BLOCK_SEGMENT_HEADER_BYTES 8
#define BLOCK_SEGMENT_BYTES_DEFAULT (UINT64_C(512) << 20)
