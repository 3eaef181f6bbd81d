// SPDX-License-Identifier: Apache-2.0
// Parse errors read `invalid parameter "query": 1:5: parse error: ...`: line and column, both from 1, the
// column in bytes of UTF-8.
export interface ErrorPlace {
  line: string; // the line of the expression that is at fault
  lineNumber: number;
  column: number; // in characters, from 0, at most the length of the line
  message: string; // without the position
}

export function findErrorPlace(message: string, expr: string): ErrorPlace | null {
  const match = /(?:^|\s)(\d+):(\d+): (parse error: [^]*)$/.exec(message);
  if (!match) return null;
  const lineNumber = Number(match[1]);
  const line = expr.split('\n')[lineNumber - 1];
  if (line === undefined) return null;
  return { line, lineNumber, column: charactersBefore(line, Number(match[2]) - 1), message: match[3] ?? '' };
}

function charactersBefore(line: string, bytes: number): number {
  const encoder = new TextEncoder();
  let column = 0;
  let seen = 0;
  for (const character of line) {
    const size = encoder.encode(character).length;
    if (seen + size > bytes) break;
    seen += size;
    column += character.length;
  }
  return column;
}
