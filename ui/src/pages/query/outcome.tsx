// SPDX-License-Identifier: Apache-2.0
// What every query shows beside its result: errors with their place, warnings, notices, how long it took.
import { Loader } from '@mantine/core';
import { ApiError, type Answer } from '../../lib/api';
import { humanDuration } from '../../lib/duration';
import { findErrorPlace } from '../../lib/error-position';
import { useSettings } from '../../lib/settings';
import { ErrorNotice, Notice } from '../../shell/notice';

export function QueryError({ error, expr }: { error: unknown; expr: string }) {
  const place = error instanceof ApiError ? findErrorPlace(error.message, expr) : null;
  if (!place) return <ErrorNotice error={error} />;
  return (
    <Notice kind="error" title={`Invalid query, line ${place.lineNumber}, column ${place.column + 1}`}>
      <span className="pre-wrap">{place.message}</span>
      <pre className="error-place">
        {place.line + '\n'}
        <span className="error-caret">{' '.repeat(place.column) + '^'}</span>
      </pre>
    </Notice>
  );
}

export function Annotations({ answer }: { answer: Answer<unknown> }) {
  const { showQueryWarnings, showQueryInfoNotices } = useSettings();
  return (
    <>
      {showQueryWarnings && answer.warnings.map((text) => <Notice key={text} kind="warning">{text}</Notice>)}
      {showQueryInfoNotices && answer.infos.map((text) => <Notice key={text} kind="info">{text}</Notice>)}
    </>
  );
}

export function Took({ answer, loading, parts }: { answer: Answer<unknown> | null; loading: boolean; parts: readonly string[] }) {
  return (
    <div className="took" aria-live="polite">
      {loading && <Loader size={12} />}
      {answer && [...parts, humanDuration(answer.tookMs)].join(' · ')}
    </div>
  );
}
