// SPDX-License-Identifier: Apache-2.0
import type { AlertmanagersData } from '../../lib/api';
import { formatCount } from '../../lib/number';
import { useApi } from '../../lib/use-api';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Page, ReloadButton, useLimit } from '../../shell/parts';

const ROWS_FIRST = 100;
const ROWS_MAX = 5000;

export default function AlertmanagersPage() {
  const { answer, error, loading, reload } = useApi<AlertmanagersData>('alertmanagers');
  return (
    <Page title="Alertmanager discovery" tools={<ReloadButton onClick={reload} loading={loading && answer !== null} />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && (
        <>
          <UrlTable
            title="Active" items={answer.data.activeAlertmanagers}
            none="Alerts are sent to nobody. Alertmanagers come from alerting.alertmanagers in the configuration."
          />
          <UrlTable title="Dropped by relabelling" items={answer.data.droppedAlertmanagers} none="None." />
        </>
      )}
    </Page>
  );
}

function UrlTable({ title, items, none }: { title: string; items: { url: string }[]; none: string }) {
  const { shown, more } = useLimit(items.length, ROWS_FIRST, ROWS_MAX);
  return (
    <section className="block">
      <h2>
        {title} ({formatCount(items.length)})
      </h2>
      <table className="grid">
        <thead>
          <tr>
            <th>Endpoint</th>
          </tr>
        </thead>
        <tbody>
          {items.slice(0, shown).map(({ url }, i) => (
            <tr key={`${url} ${i}`}>
              <td className="mono break">{url}</td>
            </tr>
          ))}
          {items.length === 0 && (
            <tr>
              <td className="dim">{none}</td>
            </tr>
          )}
        </tbody>
      </table>
      {more}
    </section>
  );
}
