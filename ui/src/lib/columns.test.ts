// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { decodeColumns, fromMatrix } from './columns';

const GAP = 0x7ff0000000000002n;

// Words of eight bytes; texts are padded.
function answer(...parts: (bigint | number | string)[]): ArrayBuffer {
  const words: bigint[] = [];
  const view = new DataView(new ArrayBuffer(8));
  for (const part of parts) {
    if (typeof part === 'bigint') {
      words.push(part);
    } else if (typeof part === 'number') {
      view.setFloat64(0, part, true);
      words.push(view.getBigUint64(0, true));
    } else {
      const text = new TextEncoder().encode(part.padEnd(part.length + ((8 - (new TextEncoder().encode(part).length % 8)) % 8)));
      if (part !== 'NTXCOL1\n') words.push(BigInt(text.length));
      for (let i = 0; i < text.length; i += 8) words.push(new DataView(text.buffer, i, 8).getBigUint64(0, true));
    }
  }
  const out = new DataView(new ArrayBuffer(words.length * 8));
  words.forEach((word, i) => out.setBigUint64(i * 8, word, true));
  return out.buffer;
}

const HEAD = ['NTXCOL1\n', 100_500n, 2000n, 3n | (2n << 32n)] as const;
const WHOLE = [
  ...HEAD, '{"metric":{"a":"é"}}', 1, GAP, NaN, '{"metric":{"a":"h"},"histograms":[[100.5,{"count":"1","sum":"2"}]]}', GAP, GAP, GAP,
  '{"status":"success","warnings":["w"]}',
] as const;

test('series have a number for each step, and gaps are no NaN', () => {
  const { grid, series, warnings, infos } = decodeColumns(answer(...WHOLE));
  expect(grid).toEqual({ startS: 100.5, stepS: 2, points: 3 });
  expect(series.map((item) => [item.metric.a, item.floats, item.histograms?.length])).toEqual([['é', 2, undefined], ['h', 0, 1]]);
  expect([...(series[0]?.values ?? [])]).toEqual([1, NaN, NaN]);
  expect([0, 1, 2].map((step) => series[0]?.present(step))).toEqual([true, false, true]);
  expect([warnings, infos]).toEqual([['w'], []]);
});

test('an answer that ends too early is an error, wherever it ends', () => {
  const whole = answer(...WHOLE);
  for (let length = 0; length < whole.byteLength; length += 8) expect(() => decodeColumns(whole.slice(0, length)), String(length)).toThrow('ends before');
});

test('something else is no answer', () => {
  expect(() => decodeColumns(answer('NTXCOL2\n', 0n, 1n, 0n, '{}'))).toThrow();
});

test('JSON gives the same columns', () => {
  const { grid, series } = fromMatrix([{ metric: { a: '1' }, values: [[100.5, '1'], [102.5, 'NaN'], [104.5, '+Inf'], [999, '1']] }], 100.5, 106, 2);
  expect(grid).toEqual({ startS: 100.5, stepS: 2, points: 3 });
  expect([...(series[0]?.values ?? [])]).toEqual([1, NaN, Infinity]);
  expect([series[0]?.floats, series[0]?.present(1)]).toEqual([3, true]);
  expect(fromMatrix([{ metric: {}, values: [[5, '1']] }], 0, 10, 5).series[0]?.present(0)).toBe(false);
});
