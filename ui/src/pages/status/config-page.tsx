// SPDX-License-Identifier: Apache-2.0
import { Button } from '@mantine/core';
import { Fragment, useState } from 'react';
import { useApi } from '../../lib/use-api';
import { Icon } from '../../shell/icon';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Page, useLimit } from '../../shell/parts';
import { splitYamlLine } from './yaml-colors';

export default function ConfigPage() {
  const { answer, error, reload } = useApi<{ yaml: string }>('status/config');
  const yaml = answer?.data.yaml ?? '';
  return (
    <Page title="Configuration" tools={yaml && <CopyButton text={yaml} />}>
      {error !== null && <ErrorNotice error={error} retry={reload} />}
      {!answer && error === null && <Busy />}
      {answer && <Yaml text={yaml} />}
    </Page>
  );
}

function Yaml({ text }: { text: string }) {
  const lines = text.replace(/\n$/, '').split('\n');
  const { shown, more } = useLimit(lines.length, 5000, 100_000);
  return (
    <>
      <pre className="yaml">
        {lines.slice(0, shown).map((line, i) => (
          <Fragment key={i}>
            {splitYamlLine(line).map(([kind, part], j) => (
              <span key={j} className={`yaml-${kind}`}>
                {part}
              </span>
            ))}
            {'\n'}
          </Fragment>
        ))}
      </pre>
      {more}
    </>
  );
}

function CopyButton({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await copyText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <Button size="xs" variant="default" leftSection={<Icon name={done ? 'check' : 'copy'} size={14} />} onClick={() => void copy()}>
      {done ? 'Copied' : 'Copy'}
    </Button>
  );
}

// The clipboard interface exists only over HTTPS and on localhost.
async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
