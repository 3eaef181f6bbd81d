// SPDX-License-Identifier: Apache-2.0
#include "exporter/node/node_collectors.h"
#include "exporter/node/node_fields.h"

// What the original knows; other fields of the kernel are not exposed.
static const char *const exposed[] = {
    "Active",
    "Active(anon)",
    "Active(file)",
    "AnonHugePages",
    "AnonPages",
    "Bounce",
    "Buffers",
    "Cached",
    "CmaFree",
    "CmaTotal",
    "CommitLimit",
    "Committed_AS",
    "DirectMap1G",
    "DirectMap2M",
    "DirectMap4k",
    "Dirty",
    "HardwareCorrupted",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "HugePages_Total",
    "Hugepagesize",
    "Inactive",
    "Inactive(anon)",
    "Inactive(file)",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "MemTotal",
    "Mlocked",
    "NFS_Unstable",
    "PageTables",
    "Percpu",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "Slab",
    "SwapCached",
    "SwapFree",
    "SwapTotal",
    "Unevictable",
    "VmallocChunk",
    "VmallocTotal",
    "VmallocUsed",
    "Writeback",
    "WritebackTmp",
    "Zswap",
    "Zswapped",
};

typedef struct Meminfo {
    NodeFile file;
    NodeFields fields;
} Meminfo;

static bool meminfo_open(void *state, NodeScrape *scrape, Error *err)
{
    (void)err;
    node_file_init(&((Meminfo *)state)->file, scrape->options->path_procfs, "meminfo");
    return true;
}

// "Active(anon)" with the unit kB becomes node_memory_Active_anon_bytes.
static NodeFamily *meminfo_family(NodeSink *sink, Str field, bool has_unit)
{
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(exposed); i++)
        known |= str_is(field, exposed[i]);
    if (!known)
        return NULL;
    CLEANUP(buf_deinit) Buf name = {0};
    CLEANUP(buf_deinit) Buf help = {0};
    buf_add_c(&name, "node_memory_");
    for (size_t i = 0; i < field.len; i++)
        if (field.ptr[i] != ')')
            buf_add_char(&name, field.ptr[i] == '(' ? '_' : field.ptr[i]);
    if (has_unit)
        buf_add_c(&name, "_bytes");
    buf_printf(&help, "Memory information field " STR_FMT ".",
               STR_ARG(str_skip(buf_str(&name), strlen("node_memory_"))));
    return node_sink_family(sink, buf_str(&name), NODE_GAUGE, buf_str(&help));
}

static bool meminfo_write(void *state, NodeScrape *scrape, Error *err)
{
    Meminfo *self = state;
    Str text;
    Str line;
    if (!node_file_read(&self->file, &scrape->text, &text, err))
        return false;
    for (size_t position = 0; scan_line(&text, &line); position++) {
        Str word = scan_word(&line);
        uint64_t value;
        if (word.len < 2 || word.ptr[word.len - 1] != ':' || !scan_u64(&line, &value))
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a name and a number", self->file.path,
                             position + 1);
        bool has_unit = str_is(scan_word(&line), "kB");
        bool is_new;
        NodeField *field =
            node_fields_at(&self->fields, position, str_sub(word, 0, word.len - 1), &is_new);
        if (field && is_new)
            field->family = meminfo_family(scrape->sink, str_sub(word, 0, word.len - 1), has_unit);
        if (field && field->family)
            node_sample(field->family, NODE_NO_LABELS, (double)value * (has_unit ? 1024 : 1));
    }
    return true;
}

static void meminfo_close(void *state)
{
    node_file_deinit(&((Meminfo *)state)->file);
    node_fields_deinit(&((Meminfo *)state)->fields);
}

const NodeCollector node_meminfo = {"meminfo",    true,          sizeof(Meminfo),
                                    meminfo_open, meminfo_write, meminfo_close};
