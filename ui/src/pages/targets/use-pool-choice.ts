// SPDX-License-Identifier: Apache-2.0
import { setSearchParam, useSearch } from '../../lib/router';
import { useApi } from '../../lib/use-api';

// With more pools than this, one is asked for at a time.
const POOLS_AT_ONCE_MAX = 20;

export interface PoolChoice {
  ready: boolean; // the server has said which pools there are, or that it cannot
  pools: string[];
  pool: string; // "" for all
  onlyOne: boolean; // chosen for the user, because there are many
  choose: (pool: string) => void;
}

// ?pool=name shows one and ?pool= all. A server that does not list its pools is asked for all targets.
export function usePoolChoice(): PoolChoice {
  const { answer, error } = useApi<{ scrapePools: string[] }>('scrape_pools');
  const asked = new URLSearchParams(useSearch()).get('pool');
  const pools = answer?.data.scrapePools ?? [];
  const many = pools.length > POOLS_AT_ONCE_MAX;
  const onlyOne = many && asked === null;
  return {
    ready: answer !== null || error !== null,
    pools,
    pool: onlyOne ? (pools[0] ?? '') : (asked ?? ''),
    onlyOne,
    choose: (pool) => setSearchParam('pool', pool === '' && !many ? null : pool),
  };
}
