// SPDX-License-Identifier: Apache-2.0
// Graphs end at this browser's "now": when its clock differs from the server's, they end too early or in a void.
import { useEffect, useState } from 'react';
import { apiGet, type QueryData } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import { Notice } from '../../shell/notice';

const DRIFT_MAX_MS = 30_000;

export function ClockCheck() {
  const [driftMs, setDriftMs] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    const askedMs = Date.now();
    apiGet<QueryData>('query', { query: 'time()' }, controller.signal).then(
      ({ data, tookMs }) => {
        if (data.resultType === 'scalar') setDriftMs(askedMs + tookMs / 2 - Number(data.result[1]) * 1000);
      },
      () => undefined, // what the user asks next tells what is wrong
    );
    return () => controller.abort();
  }, []);
  if (Math.abs(driftMs) <= DRIFT_MAX_MS) return null;
  return (
    <Notice kind="warning">
      The clock of this browser is {humanDuration(Math.abs(driftMs))} {driftMs > 0 ? 'ahead of' : 'behind'} the server's; graphs up to now may look empty or end early.
    </Notice>
  );
}
