// SPDX-License-Identifier: Apache-2.0
// OTLP requests, as JSON or protobuf by the first byte: no crash, and what is refused leaves nothing behind.
#include "remote/otlp_internal.h"
#include "remote/remote_fake_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CLEANUP(arena_deinit) Arena arena = {0};
    FakeSink sink;
    OtlpAnswer answer;
    ClockFake clock;
    clock_fake_init(&clock, INT64_C(1) << 41);
    Otlp *otlp = otlp_new(&(OtlpOptions){.clock = &clock.clock,
                                         .native_delta = data[0] & 2,
                                         .delta_to_cumulative = data[0] & 4,
                                         .type_and_unit_labels = data[0] & 8});
    OtlpConfig config = {.translation_strategy = data[0] >> 4 & 3,
                         .convert_histograms_to_nhcb = data[0] & 64,
                         .promote_all_resource_attributes = data[0] & 128,
                         .promote_scope_metadata = true};
    otlp_configure(otlp, &config);
    fake_sink_init(&sink);
    otlp_handle(otlp, &sink.sink,
                &(OtlpRequest){data[0] & 1 ? S("application/json") : S("application/x-protobuf"),
                               STR_NONE,
                               {(const char *)data + 1, size - 1}},
                &arena, &answer);
    for (size_t i = 0; i < sink.series_count && answer.status != 200; i++)
        ASSERT(sink.series[i]->count == 0);
    fake_sink_deinit(&sink);
    otlp_free(otlp);
    return 0;
}
