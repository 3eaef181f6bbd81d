// SPDX-License-Identifier: Apache-2.0
// What the server made of a scrape pool: its effective configuration, and what each relabel rule did to one target.
import { Modal } from '@mantine/core';
import { apiGet } from '../../lib/api';
import type { Labels } from '../../lib/labels';
import { useApi, useLoad } from '../../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../../shell/notice';
import { LabelPairs } from '../../shell/parts';
import { Yaml } from '../../shell/yaml';

const WIDTH = 'min(1100px, 95vw)';

export function PoolConfigDialog({ pool, onClose }: { pool: string; onClose: () => void }) {
  const { answer, error, reload } = useApi<{ yaml: string }>('scrape_pools/config', { scrapePool: pool });
  return (
    <Modal opened onClose={onClose} size={WIDTH} title={`Configuration of ${pool}`} closeButtonProps={{ 'aria-label': 'Close' }}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {answer ? <Yaml text={answer.data.yaml} /> : error === null && <Busy />}
    </Modal>
  );
}

interface RelabelStep {
  rule: string; // YAML
  output: Labels;
  keep: boolean;
}

export function RelabelDialog({ pool, labels, onClose }: { pool: string; labels: Labels; onClose: () => void }) {
  const load = (signal: AbortSignal) =>
    apiGet<{ steps: RelabelStep[] }>('targets/relabel_steps', { scrapePool: pool, labels: JSON.stringify(labels) }, signal);
  const { answer, error } = useLoad('relabel steps', load);
  const steps = answer?.data.steps ?? [];
  return (
    <Modal opened onClose={onClose} size={WIDTH} title={`Relabelling in ${pool}`} closeButtonProps={{ 'aria-label': 'Close' }}>
      {error !== null && <ErrorNotice error={error} />}
      {!answer && error === null && <Busy />}
      <h2>Discovered</h2>
      <LabelPairs labels={labels} />
      {answer && steps.length === 0 && <div className="empty">This pool has no relabel_configs.</div>}
      {steps.map((step, i) => (
        <section key={i} className="relabel-step">
          <h2>Rule {i + 1}</h2>
          <div className="relabel-columns">
            <Yaml text={step.rule} />
            {step.keep ? (
              <Changes before={i === 0 ? labels : (steps[i - 1]?.output ?? {})} after={step.output} />
            ) : (
              <Notice kind="warning">This rule drops the target.</Notice>
            )}
          </div>
        </section>
      ))}
    </Modal>
  );
}

// Labels as they are after the rule; what it changed stands first.
function Changes({ before, after }: { before: Labels; after: Labels }) {
  const changed = Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] !== value));
  const same = Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] === value));
  const gone = Object.fromEntries(Object.entries(before).filter(([name]) => after[name] === undefined));
  const none = Object.keys(changed).length === 0 && Object.keys(gone).length === 0;
  return (
    <div className="changes">
      {none && <div className="dim">changes nothing</div>}
      {Object.keys(changed).length > 0 && (
        <div>
          <span className="badge badge-up">sets</span> <LabelPairs labels={changed} />
        </div>
      )}
      {Object.keys(gone).length > 0 && (
        <div>
          <span className="badge badge-down">removes</span> <LabelPairs labels={gone} />
        </div>
      )}
      <details>
        <summary className="dim">the others stay</summary>
        <LabelPairs labels={same} />
      </details>
    </div>
  );
}
