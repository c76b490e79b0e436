import type { HostFacts } from '../facts.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

export function checkNative({ native }: HostFacts): Finding[] {
  return native === null ? [] : [finding('native-missing', native.message, { advice: native.hint })];
}
