// SPDX-License-Identifier: Apache-2.0
// The receivers: what one would be sent, a template tried out, a test notification.
import { Button, Modal, NativeSelect, Textarea } from '@mantine/core';
import { useDeferredValue, useState } from 'react';
import { describeError } from '../lib/api';
import { hashHref, useHash } from '../lib/hash-router';
import type { Labels } from '../lib/labels';
import { matchersOf, matchersText } from '../lib/matchers';
import { plural } from '../lib/number';
import { useLoad } from '../lib/use-api';
import { Busy, ErrorNotice, Notice } from '../shell/notice';
import { Page } from '../shell/parts';
import { amGet, type AmGroup } from './am-api';
import { type FilledIn, preview, type Sample, sendTest, type TemplateFault, type Trial } from './am-narthex';

export default function ReceiversPage() {
  const { params } = useHash();
  const { answer, error, reload } = useLoad('receivers', (signal) => amGet<{ name: string }[]>('receivers', {}, signal));
  const receivers = answer?.data ?? [];
  const chosen = params.get('receiver') ?? receivers[0]?.name;
  return (
    <Page title="Receivers">
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && (
        <div className="side">
          <nav aria-label="Receivers">
            <ul className="side-list">
              {receivers.map(({ name }) => (
                <li key={name}>
                  <a href={hashHref('/receivers', { receiver: name })} aria-current={name === chosen ? 'true' : undefined}>{name}</a>
                </li>
              ))}
            </ul>
          </nav>
          {chosen !== undefined && <Receiver key={chosen} name={chosen} />}
        </div>
      )}
    </Page>
  );
}

const EXAMPLE = 'The built-in example';
const groupText = (labels: Labels) => matchersText(matchersOf(labels));

function Receiver({ name }: { name: string }) {
  const groups = useLoad('groups ' + name, (signal) => amGet<AmGroup[]>('alerts/groups', { silenced: 'true', inhibited: 'true', active: 'true', muted: 'true' }, signal));
  const own = (groups.answer?.data ?? []).filter((group) => group.receiver.name === name);
  const [choice, setChoice] = useState(0); // 0: the example, else a group
  const group = own[choice - 1];
  const sample: Sample = {
    receiver: name,
    ...(group ? { groupLabels: group.labels, alerts: group.alerts.slice(0, 100).map(({ labels, annotations, startsAt, endsAt, generatorURL }) => ({ labels, annotations, startsAt, endsAt, ...(generatorURL ? { generatorURL } : {}) })) } : {}),
  };
  return (
    <div>
      <div className="filter-line">
        <NativeSelect
          size="xs" label="With the alerts of" value={String(choice)} onChange={(event) => setChoice(Number(event.currentTarget.value))}
          data={[{ value: '0', label: EXAMPLE }, ...own.map(({ labels, alerts }, i) => ({ value: String(i + 1), label: `${groupText(labels)}, ${plural(alerts.length, 'alert')}` }))]}
        />
        <TestButton name={name} sample={sample} what={group ? groupText(group.labels) : EXAMPLE} />
      </div>
      <TryTemplate sample={sample} />
      <Fields sample={sample} />
    </div>
  );
}

function Fault({ fault }: { fault: TemplateFault }) {
  const place = fault.line === undefined ? '' : `${fault.template ? `template ${fault.template}, ` : ''}line ${fault.line}, column ${fault.column ?? 1}: `;
  return <Notice kind="error">{place + fault.message}</Notice>;
}

const Result = ({ of }: { of: FilledIn }) => (of.error ? <Fault fault={of.error} /> : <pre className="explain-expr">{of.text === '' ? '(empty)' : of.text}</pre>);

// All texts of the receiver's settings, filled in.
function Fields({ sample }: { sample: Sample }) {
  const key = JSON.stringify(sample);
  const { answer, error, reload } = useLoad(key, (signal) => preview(sample, signal));
  if (error !== null) return <ErrorNotice error={error} retry={reload} />;
  if (!answer) return <Busy />;
  const { fields = [], error: fault } = answer.data;
  return (
    <section className="block">
      <h2 className="above">What it is sent</h2>
      {fault && <Fault fault={fault} />}
      {fields.length === 0 && !fault && <div className="empty">No setting of this receiver has a template.</div>}
      {fields.length > 0 && (
        <table className="grid sent">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Template</th>
              <th scope="col">Text</th>
            </tr>
          </thead>
          <tbody>
            {fields.map((field) => (
              <tr key={`${field.integration} ${field.index} ${field.field}`} data-field={field.field}>
                <td className="break">{`${field.integration}[${field.index}].${field.field}`}</td>
                <td className="mono pre-wrap">{field.template}</td>
                <td className="mono pre-wrap">{field.error ? <Fault fault={field.error} /> : field.text === '' ? <span className="dim">(empty)</span> : field.text}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

const FIRST_TEXT = '{{ range .Alerts }}{{ .Labels.alertname }}: {{ .Annotations.summary }}\n{{ end }}';

function TryTemplate({ sample }: { sample: Sample }) {
  const [text, setText] = useState(FIRST_TEXT);
  const wanted = useDeferredValue(text);
  const { answer, error } = useLoad(JSON.stringify([wanted, sample]), (signal) => preview({ ...sample, text: wanted }, signal));
  return (
    <section className="block">
      <h2>Try a template</h2>
      <div className="columns">
        <Textarea aria-label="Template" size="xs" autosize minRows={3} maxRows={20} value={text} spellCheck={false} classNames={{ input: 'mono' }} onChange={(event) => setText(event.currentTarget.value)} />
        <output aria-label="Its text">
          {error !== null && <ErrorNotice error={error} />}
          {error === null && answer && <Result of={answer.data} />}
        </output>
      </div>
    </section>
  );
}

// Sends for real, after a question.
function TestButton({ name, sample, what }: { name: string; sample: Sample; what: string }) {
  const [open, setOpen] = useState(false);
  const [state, setState] = useState<'asks' | 'sends' | Trial | Error>('asks');
  const send = () => {
    setState('sends');
    sendTest(sample, new AbortController().signal).then(
      ({ data }) => setState(data),
      (error: unknown) => setState(error instanceof Error ? error : new Error(String(error))),
    );
  };
  return (
    <>
      <Button size="xs" variant="default" onClick={() => { setState('asks'); setOpen(true); }}>
        Send a test notification
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={`Test of ${name}`} size="lg">
        {(state === 'asks' || state === 'sends') && (
          <>
            <p>
              Each integration of <strong>{name}</strong> is sent one notification now, with the alerts of: {what}. It is not remembered, and no real notification waits for it.
            </p>
            <Button size="xs" loading={state === 'sends'} onClick={send}>
              Send it
            </Button>
          </>
        )}
        {state instanceof Error && <Notice kind="error">{describeError(state).text}</Notice>}
        {typeof state === 'object' && !(state instanceof Error) && <TrialTable trial={state} />}
      </Modal>
    </>
  );
}

function TrialTable({ trial }: { trial: Trial }) {
  if (trial.results.length === 0) return <div className="empty">This receiver has no integration: nothing is ever sent.</div>;
  return (
    <table className="grid">
      <thead>
        <tr>
          <th scope="col">Integration</th>
          <th scope="col">Outcome</th>
          <th scope="col">Answer</th>
        </tr>
      </thead>
      <tbody>
        {trial.results.map(({ integration, index, status, httpStatus, durationSeconds, error }) => (
          <tr key={`${integration}${index}`}>
            <td>{`${integration}[${index}]`}</td>
            <td>
              <span className={`badge badge-${status === 'success' ? 'up' : status === 'failed' ? 'down' : 'unknown'}`}>{status}</span>
            </td>
            <td className="break">
              {httpStatus !== undefined && `HTTP ${httpStatus}, `}
              {`${Math.round(durationSeconds * 1000)} ms`}
              {error !== undefined && <div>{error}</div>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
