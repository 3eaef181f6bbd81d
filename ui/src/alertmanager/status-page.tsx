// SPDX-License-Identifier: Apache-2.0
import { useSettings } from '../lib/settings';
import { formatServerTime } from '../lib/time';
import { useLoad } from '../lib/use-api';
import { Busy, ErrorNotice } from '../shell/notice';
import { KeyValueTable, Page } from '../shell/parts';
import { CopyButton, Yaml } from '../shell/yaml';
import { amGet, type AmStatus } from './am-api';

export default function StatusPage() {
  const { useLocalTime } = useSettings();
  const { answer, error, reload } = useLoad('status', (signal) => amGet<AmStatus>('status', {}, signal));
  const status = answer?.data;
  return (
    <Page title="Status" tools={status && <CopyButton text={status.config.original} />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!status && error === null && <Busy />}
      {status && (
        <>
          <div className="columns">
            <section className="block">
              <h2>Alertmanager</h2>
              <KeyValueTable rows={[['Up since', formatServerTime(status.uptime, useLocalTime)], ...Object.entries(status.versionInfo)]} />
            </section>
            <section className="block">
              <h2>Cluster</h2>
              <KeyValueTable
                rows={[
                  ['State', status.cluster.status],
                  ...(status.cluster.name ? [['Own name', status.cluster.name] as const] : []),
                  ...(status.cluster.peers ?? []).map((peer) => [peer.name, peer.address] as const),
                ]}
              />
            </section>
          </div>
          <h2>Configuration</h2>
          <Yaml text={status.config.original} />
        </>
      )}
    </Page>
  );
}
