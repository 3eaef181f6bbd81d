// SPDX-License-Identifier: Apache-2.0
import { type Answer, type Params, postRaw, type QueryData, unwrap } from './api';
import { COLUMNS_TYPE, decodeColumns, fromMatrix, type RangeData } from './columns';

// `params` has start, end and step in seconds.
export async function queryRange(params: Params & { start: number; end: number; step: number }, signal: AbortSignal): Promise<Answer<RangeData>> {
  const { type, bytes, response, tookMs } = await postRaw('query_range', params, `${COLUMNS_TYPE}, application/json`, signal);
  if (type.startsWith(COLUMNS_TYPE)) {
    const { warnings, infos, ...data } = decodeColumns(bytes);
    return { data, warnings, infos, tookMs };
  }
  const answer = unwrap<QueryData>(response, new TextDecoder().decode(bytes), tookMs);
  const result = answer.data.resultType === 'matrix' ? answer.data.result : [];
  return { ...answer, data: { ...fromMatrix(result, params.start, params.end, params.step), stats: answer.data.stats } };
}
