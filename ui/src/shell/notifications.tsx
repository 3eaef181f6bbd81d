// SPDX-License-Identifier: Apache-2.0
// What the server wants its users to know, such as a configuration that could not be loaded. It comes as events; where
// those are not let through, the list is asked for now and then.
import { ActionIcon, Popover } from '@mantine/core';
import { useCallback, useEffect, useState } from 'react';
import { apiGet } from '../lib/api';
import { basePath } from '../lib/base-path';
import { useSettings } from '../lib/settings';
import { formatServerTime } from '../lib/time';
import { useWhileVisible } from '../lib/use-api';
import { Icon } from './icon';

interface Notification {
  text: string;
  date: string;
  active: boolean;
}

const ASK_MS = 30_000;

function isNotification(value: unknown): value is Notification {
  return typeof value === 'object' && value !== null && 'text' in value && 'active' in value;
}

export function Notifications() {
  const { useLocalTime } = useSettings();
  const [list, setList] = useState<Notification[]>([]);
  const [live, setLive] = useState(true);

  useEffect(() => {
    const source = new EventSource(`${basePath}/api/v1/notifications/live`);
    source.onmessage = (event: MessageEvent<string>) => {
      const one: unknown = JSON.parse(event.data);
      if (!isNotification(one)) return;
      setList((old) => [...old.filter((other) => other.text !== one.text), ...(one.active ? [one] : [])]);
    };
    source.onerror = () => {
      // The server takes no more subscribers, or something between cuts the stream.
      if (source.readyState === EventSource.CLOSED) setLive(false);
    };
    return () => source.close();
  }, []);

  const ask = useCallback(() => {
    apiGet<Notification[]>('notifications', {}, AbortSignal.timeout(ASK_MS)).then(
      (answer) => setList(answer.data.filter((one) => one.active)),
      () => undefined, // the page itself tells that the server cannot be reached
    );
  }, []);
  useEffect(() => {
    if (!live) ask();
  }, [live, ask]);
  useWhileVisible(ask, live ? 0 : ASK_MS);

  if (list.length === 0) return null;
  return (
    <Popover position="bottom-end" shadow="md" withinPortal>
      <Popover.Target>
        <ActionIcon variant="default" size={28} className="bell" aria-label={`Notifications: ${list.length}`}>
          <Icon name="bell" />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown className="notifications">
        {list.map((one) => (
          <div key={one.text}>
            <div>{one.text}</div>
            <div className="dim number">{formatServerTime(one.date, useLocalTime)}</div>
          </div>
        ))}
      </Popover.Dropdown>
    </Popover>
  );
}
