// SPDX-License-Identifier: Apache-2.0
import { useApi } from '../../lib/use-api';
import { Busy, ErrorNotice } from '../../shell/notice';
import { Page } from '../../shell/parts';
import { CopyButton, Yaml } from '../../shell/yaml';

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
