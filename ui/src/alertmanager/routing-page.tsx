// SPDX-License-Identifier: Apache-2.0
// The tree of routes, which of them an alert takes and why, and what happens to it there.
import { TextInput } from '@mantine/core';
import { hashHref, setHashParams, useHash } from '../lib/hash-router';
import { matchersOf, matchersText } from '../lib/matchers';
import { formatDuration } from '../lib/duration';
import { plural } from '../lib/number';
import { useSettings } from '../lib/settings';
import { formatServerTime } from '../lib/time';
import { useLoad } from '../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../shell/notice';
import { KeyValueTable, LabelPairs, Page, ReloadButton } from '../shell/parts';
import { type Explanation, explain, type RouteMatcher, type TakenRoute } from './am-narthex';
import { labelsOf, nest, type RouteNode } from './route-tree';

export default function RoutingPage() {
  const { params } = useHash();
  const text = params.get('labels') ?? '';
  const labels = labelsOf(text);
  const asked = labels !== null && Object.keys(labels).length > 0;
  const { answer, error, loading, reload } = useLoad(`explain ${JSON.stringify(labels)}`, labels ? (signal) => explain(labels, signal) : null);
  const found = answer?.data;
  return (
    <Page title="Routing" tools={<ReloadButton onClick={reload} loading={loading && found !== undefined} />}>
      <div className="filter-line">
        <TextInput
          key={text} size="xs" className="filter-input" label="Labels of an alert" placeholder='alertname="Down", severity="page"' defaultValue={text.replace(/^\{(.*)\}$/s, '$1')}
          error={labels ? null : 'Labels are written name="value", with commas between them.'}
          onKeyDown={(event) => event.key === 'Enter' && setHashParams({ labels: event.currentTarget.value || null })}
          onBlur={(event) => setHashParams({ labels: event.currentTarget.value || null })}
        />
      </div>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!found && error === null && loading && <Busy />}
      {found && asked && <Outcome found={found} />}
      {found && (
        <section className="block">
          <h2>Routes</h2>
          <ol className="tree routes">
            {nest(found.routes).map((node) => (
              <RouteView key={node.step.id} node={node} asked={asked} />
            ))}
          </ol>
        </section>
      )}
    </Page>
  );
}

function RouteView({ node: { step, children }, asked }: { node: RouteNode; asked: boolean }) {
  const state = !asked ? '' : step.taken ? 'taken' : step.matched ? 'matched' : 'off';
  return (
    <li data-route={step.id} data-state={state}>
      <div className={`route route-${state}`}>
        <span className="route-receiver">{step.receiver}</span>
        {step.matchers.length === 0 ? <span className="dim">all alerts</span> : <Matchers matchers={step.matchers} asked={asked && step.asked} />}
        {step.continue && <span className="tally">continues</span>}
        {state === 'taken' && <span className="badge badge-up">taken</span>}
        {asked && <span className="dim">{step.why}</span>}
      </div>
      {children.length > 0 && (
        <ol className="tree-children">
          {children.map((child) => (
            <RouteView key={child.step.id} node={child} asked={asked} />
          ))}
        </ol>
      )}
    </li>
  );
}

function Matchers({ matchers, asked }: { matchers: readonly RouteMatcher[]; asked: boolean }) {
  return (
    <span className="label-pairs">
      {matchers.map(({ name, operator, value, label, matches }, i) => (
        <span
          key={i} className={asked ? (matches ? 'label-pair matcher-good' : 'label-pair matcher-bad') : 'label-pair'}
          title={asked ? `${matches ? 'Matches' : 'Does not match'}: the alert has ${name}=${JSON.stringify(label)}` : undefined}
        >
          <span className="label-name">{name}</span>
          {operator}
          <span className="label-value">{JSON.stringify(value)}</span>
          {asked && <span aria-hidden="true">{matches ? ' ✓' : ' ✗'}</span>}
        </span>
      ))}
    </span>
  );
}

// Why the alert is told, or is not.
function Outcome({ found }: { found: Explanation }) {
  const { useLocalTime } = useSettings();
  return (
    <section className="block" aria-label="What becomes of the alert">
      <p>
        {found.alert ? (
          <>
            <span className={`badge badge-${found.alert.status === 'firing' ? 'firing' : 'ok'}`}>{found.alert.status}</span> since {formatServerTime(found.alert.startsAt, useLocalTime)}.
          </>
        ) : (
          'No alert with these labels is held now. This is where one would go.'
        )}
      </p>
      {found.inhibitedBy && (
        <Notice kind="warning">
          Inhibited by rule {found.inhibitedBy.ruleName || found.inhibitedBy.rule + 1}, because of{' '}
          <a href={hashHref('/routing', { labels: matchersText(matchersOf(found.inhibitedBy.labels)) })}>
            <LabelPairs labels={found.inhibitedBy.labels} />
          </a>
        </Notice>
      )}
      {found.silencedBy.map((silence) => (
        <Notice key={silence.id} kind="warning">
          Silenced until {formatServerTime(silence.endsAt, useLocalTime)} by {silence.createdBy}: <a href={hashHref(`/silences/${silence.id}`)}>{silence.comment}</a>
        </Notice>
      ))}
      <div className="columns">
        {found.taken.map((taken) => (
          <Taken key={taken.route} taken={taken} />
        ))}
      </div>
    </section>
  );
}

function Taken({ taken }: { taken: TakenRoute }) {
  const { useLocalTime } = useSettings();
  const { group } = taken;
  const time = (text: string) => formatServerTime(text, useLocalTime);
  const seconds = (value: number) => formatDuration(value * 1000);
  return (
    <section className="panel" data-taken={taken.receiver}>
      <h2>
        To <a href={hashHref('/receivers', { receiver: taken.receiver })}>{taken.receiver}</a>
      </h2>
      <p className="verdict">{taken.verdict}</p>
      <KeyValueTable
        rows={[
          ['Group', Object.keys(taken.groupLabels).length > 0 ? <LabelPairs labels={taken.groupLabels} /> : 'all alerts of the route'],
          ['Waits', `${seconds(taken.groupWaitSeconds)} at first, ${seconds(taken.groupIntervalSeconds)} for changes, repeats after ${seconds(taken.repeatIntervalSeconds)}`],
          ...(group ? [['Next flush', `${group.isFlushing ? 'running now' : time(group.nextFlush)}, ${plural(group.alerts, 'alert')}`] as const] : []),
          ...(taken.mutedBy.length > 0 ? [['Muted by', taken.mutedBy.join(', ')] as const] : []),
          ...(taken.outsideActiveTime ? [['Active time', 'It is outside now.'] as const] : []),
        ]}
      />
      {taken.integrations.length > 0 && (
        <table className="grid above">
          <thead>
            <tr>
              <th scope="col">Integration</th>
              <th scope="col">Told last</th>
              <th scope="col">Next</th>
            </tr>
          </thead>
          <tbody>
            {taken.integrations.map(({ integration, index, last, due, reason, repeatAfter, failed }) => (
              <tr key={`${integration}${index}`}>
                <td>{`${integration}[${index}]`}</td>
                <td>
                  {last ? `${time(last.at)}: ${last.firing} firing, ${last.resolved} resolved; this alert was ${last.thisAlert}` : 'never'}
                  {failed && (
                    <Notice kind="error">
                      <span className="break">
                        Last attempt failed: {failed.error} ({time(failed.at)}, {plural(failed.attempts, 'attempt')})
                      </span>
                    </Notice>
                  )}
                </td>
                <td>{due ? `due: ${reason ?? ''}` : repeatAfter ? `not before ${time(repeatAfter)}, unless the group changes` : 'nothing'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
