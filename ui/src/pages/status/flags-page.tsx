// SPDX-License-Identifier: Apache-2.0
import { useState } from 'react';
import { matchesSearch } from '../../lib/labels';
import { useApi } from '../../lib/use-api';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Page, SearchInput } from '../../shell/parts';

export default function FlagsPage() {
  const { answer, error, reload } = useApi<Record<string, string>>('status/flags');
  const [search, setSearch] = useState('');
  const flags = Object.entries(answer?.data ?? {})
    .filter(([name, value]) => matchesSearch(`--${name} ${value}`, search))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <Page title="Command-line flags" tools={<SearchInput value={search} onChange={setSearch} placeholder="Filter by name or value" />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && (
        <table className="grid">
          <thead>
            <tr>
              <th>Flag</th>
              <th>Value</th>
            </tr>
          </thead>
          <tbody>
            {flags.map(([name, value]) => (
              <tr key={name}>
                <td className="mono">--{name}</td>
                <td className="mono break">{value}</td>
              </tr>
            ))}
            {flags.length === 0 && (
              <tr>
                <td colSpan={2} className="dim">
                  No flag matches
                </td>
              </tr>
            )}
          </tbody>
        </table>
      )}
    </Page>
  );
}
