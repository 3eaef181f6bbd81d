// SPDX-License-Identifier: Apache-2.0
// What the editor offers: what the server knows, and at the very start of an expression what was asked before.
import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { type CompleteStrategy, newCompleteStrategy, type PrometheusClient } from '@prometheus-io/codemirror-promql';
import { CachedPrometheusClient, HTTPPrometheusClient } from '@prometheus-io/codemirror-promql/dist/esm/client/prometheus';
import { basePath } from '../../lib/base-path';
import { queryHistory } from '../../lib/settings';
import { NAMES_MAX, pickNames } from './name-filter';

// The server's names, and of very many only those that fit what was typed.
class FewNames extends CachedPrometheusClient implements PrometheusClient {
  cut = false; // names were left out: the list holds for the typed text alone

  constructor() {
    super(new HTTPPrometheusClient({ url: basePath }), { maxAge: 60_000 });
  }

  override async metricNames(typed = ''): Promise<string[]> {
    const all = await super.metricNames();
    this.cut = all.length > NAMES_MAX;
    return this.cut ? pickNames(all, typed) : all;
  }
}

export class CompleteWithHistory implements CompleteStrategy {
  private readonly client = new FewNames();
  private readonly server = newCompleteStrategy({ remote: this.client });

  async promQL(context: CompletionContext): Promise<CompletionResult | null> {
    this.client.cut = false;
    const result = await this.server.promQL(context);
    if (!result) return null;
    const found: CompletionResult = this.client.cut ? { from: result.from, options: result.options, ...(result.to === undefined ? {} : { to: result.to }) } : result;
    const typed = context.state.doc.toString();
    if (found.from !== 0 || context.pos !== typed.length) return found;
    const past = queryHistory()
      .filter((expr) => expr !== typed)
      .map((expr) => ({ label: expr.length > 80 ? expr.slice(0, 79) + '…' : expr, apply: expr, detail: 'past query', boost: -50 }));
    return { ...found, options: [...found.options, ...past] };
  }

  destroy() {
    this.server.destroy?.();
  }
}
