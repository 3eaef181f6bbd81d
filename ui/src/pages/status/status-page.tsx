// SPDX-License-Identifier: Apache-2.0
import { useApi } from '../../lib/use-api';
import { useSettings } from '../../lib/settings';
import { formatServerTime } from '../../lib/time';
import { Busy, ErrorNotice } from '../../shell/notice';
import { KeyValueTable, Page } from '../../shell/parts';

type Info = Record<string, string | number | boolean>;

// Known keys in the order to show them; others follow under their own names.
const RUNTIME: Record<string, string> = {
  startTime: 'Start time',
  CWD: 'Working directory',
  hostname: 'Host name',
  serverTime: 'Server time',
  reloadConfigSuccess: 'Configuration reload',
  lastConfigTime: 'Last successful configuration reload',
  corruptionCount: 'WAL corruptions',
  goroutineCount: 'Goroutines',
  storageRetention: 'Storage retention',
};
const BUILD: Record<string, string> = {
  version: 'As Prometheus',
  revision: 'Revision',
  branch: 'Branch',
  buildUser: 'Built by',
  buildDate: 'Build date',
  goVersion: 'Compiler',
};
const TIMES = new Set(['startTime', 'serverTime', 'lastConfigTime']);

export default function StatusPage() {
  return (
    <Page title="Runtime & build information">
      <InfoTable title="Runtime" path="status/runtimeinfo" names={RUNTIME} />
      <InfoTable title="Build" path="status/buildinfo" names={BUILD} />
    </Page>
  );
}

function InfoTable({ title, path, names }: { title: string; path: string; names: Record<string, string> }) {
  const { answer, error, reload } = useApi<Info>(path);
  const { useLocalTime } = useSettings();
  const show = (key: string, value: string | number | boolean) => {
    if (key === 'reloadConfigSuccess') return value ? 'Successful' : 'Failed';
    return TIMES.has(key) ? formatServerTime(String(value), useLocalTime) : String(value);
  };
  const info = answer?.data ?? {};
  const keys = [...Object.keys(names).filter((key) => key in info), ...Object.keys(info).filter((key) => !(key in names))];
  return (
    <section className="block">
      <h2>{title}</h2>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && <KeyValueTable rows={keys.map((key) => [names[key] ?? key, show(key, info[key] ?? '')] as const)} />}
    </section>
  );
}
