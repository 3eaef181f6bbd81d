// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Menu, Popover, Switch, useMantineColorScheme } from '@mantine/core';
import type { ReactNode } from 'react';
import { HOME, isAgent, isAlertmanager } from '../lib/mode';
import { href, navigate, usePath } from '../lib/router';
import { type NumberName, PER_PAGE_MAX, setSetting, type SwitchName, useSettings } from '../lib/settings';
import { useApi } from '../lib/use-api';
import { Icon, Logo } from './icon';
import { Link } from './link';
import { Notifications } from './notifications';
import { Segments } from './segments';

// An agent has neither queries nor rules.
const MAIN = [
  ...(isAgent
    ? [{ path: '/agent', label: 'Agent' }]
    : [
        { path: '/query', label: 'Query' },
        { path: '/alerts', label: 'Alerts' },
        { path: '/rules', label: 'Rules' },
      ]),
  { path: '/targets', label: 'Targets' },
  { path: '/service-discovery', label: 'Service discovery' },
];
const STATUS = [
  { path: '/status', label: 'Runtime & build information' },
  ...(isAgent ? [] : [{ path: '/tsdb-status', label: 'TSDB status' }, { path: '/cardinality', label: 'Cardinality' }]),
  { path: '/flags', label: 'Command-line flags' },
  { path: '/config', label: 'Configuration' },
  ...(isAgent ? [] : [{ path: '/alertmanager-discovery', label: 'Alertmanager discovery' }]),
];

export function Header() {
  const path = usePath();
  // One in the server's own process has pages of its own.
  const features = useApi<Record<string, Record<string, boolean>>>('features');
  const hasAlertmanager = features.answer?.data['prometheus']?.['alertmanager'] === true;
  const status = STATUS.find((page) => page.path === path);
  return (
    <header className="header">
      <Link to={HOME} className="brand">
        <Logo />
        <span>narthex</span>
      </Link>
      <nav className="nav" aria-label="Pages">
        {MAIN.map((page) => (
          <Link key={page.path} to={page.path} className="nav-link" current={page.path === path}>
            {page.label}
          </Link>
        ))}
        {hasAlertmanager && (
          <a href={href('/alertmanager/#/alerts')} className="nav-link">
            Alertmanager
          </a>
        )}
        <Menu position="bottom-start" shadow="md" withinPortal>
          <Menu.Target>
            <button type="button" className="nav-link" aria-current={status ? 'page' : undefined}>
              {status ? `Status: ${status.label}` : 'Status'} <Icon name="down" size={13} />
            </button>
          </Menu.Target>
          <Menu.Dropdown>
            {STATUS.map((page) => (
              <Menu.Item
                key={page.path} component="a" href={href(page.path)}
                onClick={(event) => {
                  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                  event.preventDefault();
                  navigate(page.path);
                }}
              >
                {page.label}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </nav>
      <div className="header-tools">
        <Notifications />
        <ThemeSwitch />
        <SettingsMenu />
      </div>
    </header>
  );
}

// The header of a document whose pages are somewhere else: only its frame is the same.
export function BareHeader({ home, name, children }: { home: string; name: string; children: ReactNode }) {
  return (
    <header className="header">
      <a href={home} className="brand">
        <Logo />
        <span>{name}</span>
      </a>
      <nav className="nav" aria-label="Pages">
        {children}
      </nav>
      <div className="header-tools">
        <ThemeSwitch />
        <SettingsMenu />
      </div>
    </header>
  );
}

const SCHEMES = [
  { value: 'light', label: 'Light', show: <Icon name="sun" size={14} /> },
  { value: 'auto', label: 'As the system', show: <Icon name="system" size={14} /> },
  { value: 'dark', label: 'Dark', show: <Icon name="moon" size={14} /> },
] as const;

function ThemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return <Segments label="Colour scheme" value={colorScheme} onChange={setColorScheme} choices={SCHEMES} />;
}

type Section = { title: string; switches: readonly [SwitchName, string][]; numbers?: readonly [NumberName, string][] };
const GENERAL: Section = { title: 'All pages', switches: [['useLocalTime', 'Local time instead of UTC']] };
const SECTIONS: readonly Section[] = [
  GENERAL,
  {
    title: 'Query',
    switches: [
      ['enableQueryHistory', 'Remember queries in this browser'],
      ['enableAutocomplete', 'Completion in the editor'],
      ['enableSyntaxHighlighting', 'Syntax colours in the editor'],
      ['enableLinter', 'Mark mistakes in the editor'],
      ['showQueryWarnings', 'Show query warnings'],
      ['showQueryInfoNotices', 'Show query notices'],
    ],
  },
  {
    title: 'Alerts and rules',
    switches: [['showAnnotations', 'Show annotations']],
    numbers: [
      ['alertGroupsPerPage', 'Groups on a page of alerts'],
      ['ruleGroupsPerPage', 'Groups on a page of rules'],
    ],
  },
];

function SettingsMenu() {
  const settings = useSettings();
  return (
    <Popover position="bottom-end" shadow="md" withinPortal trapFocus>
      <Popover.Target>
        <ActionIcon variant="default" size={28} aria-label="Settings">
          <Icon name="settings" />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown className="settings">
        {(isAlertmanager ? [GENERAL] : SECTIONS).map(({ title, switches, numbers = [] }) => (
          <fieldset key={title}>
            <legend>{title}</legend>
            {switches.map(([name, label]) => (
              <Switch
                key={name} size="xs" label={label} checked={settings[name]}
                onChange={(event) => setSetting(name, event.currentTarget.checked)}
              />
            ))}
            {numbers.map(([name, label]) => (
              <label key={name} className="setting-number">
                {label}
                <input
                  type="number" min={1} max={PER_PAGE_MAX} step={1} defaultValue={settings[name]}
                  onChange={(event) => setSetting(name, event.currentTarget.valueAsNumber)}
                  onBlur={(event) => (event.currentTarget.value = String(settings[name]))}
                />
              </label>
            ))}
          </fieldset>
        ))}
      </Popover.Dropdown>
    </Popover>
  );
}
