// SPDX-License-Identifier: Apache-2.0
// YAML in colours, and a button that takes it along.
import { Button } from '@mantine/core';
import { Fragment, useState } from 'react';
import { copyText } from '../lib/clipboard';
import { splitYamlLine } from '../lib/yaml-colors';
import { Icon } from './icon';
import { useLimit } from './parts';

export function Yaml({ text }: { text: string }) {
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

export function CopyButton({ text }: { text: string }) {
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
