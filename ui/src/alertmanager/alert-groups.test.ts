// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { AmAlert, AmGroup } from './am-api';
import { groupsBy, serverGroups } from './alert-groups';

const alert = (fingerprint: string, labels: Record<string, string>): AmAlert => ({
  fingerprint, labels, annotations: {}, receivers: [{ name: 'r' }], startsAt: '', updatedAt: '', endsAt: '',
  status: { state: 'active', silencedBy: [], inhibitedBy: [] },
});
const group = (receiver: string, labels: Record<string, string>, alerts: AmAlert[]): AmGroup => ({ receiver: { name: receiver }, labels, alerts });

test('the same group of two receivers is shown once, with its alerts once', () => {
  const a = alert('1', { job: 'x' });
  const shown = serverGroups([group('mail', { job: 'x' }, [a]), group('pager', { job: 'x' }, [a, alert('2', { job: 'x' })])]);
  expect(shown).toHaveLength(1);
  expect(shown[0]).toMatchObject({ receivers: ['mail', 'pager'] });
  expect(shown[0]?.alerts.map(({ fingerprint }) => fingerprint)).toEqual(['1', '2']);
});

test('alerts are grouped by the labels asked for, and those without them apart', () => {
  const groups = [group('r', {}, [alert('1', { job: 'x', zone: 'a' }), alert('2', { job: 'y' }), alert('3', { job: 'z', zone: 'a' })])];
  expect(groupsBy(groups, ['zone']).map((one) => [one.labels, one.alerts.length])).toEqual([[{ zone: 'a' }, 2], [{}, 1]]);
});
