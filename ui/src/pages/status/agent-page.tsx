// SPDX-License-Identifier: Apache-2.0
import { Link } from '../../shell/link';
import { Page } from '../../shell/parts';

export default function AgentPage() {
  return (
    <Page title="Agent">
      <p>
        This server runs as an agent: it scrapes its targets and sends their samples on by remote write. Queries, rules and
        alerts belong to the server that receives them.
      </p>
      <p>
        Look at its <Link to="/targets">targets</Link>, its <Link to="/service-discovery">service discovery</Link> and its{' '}
        <Link to="/config">configuration</Link>.
      </p>
    </Page>
  );
}
