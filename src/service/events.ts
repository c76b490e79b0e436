/** What happens to the tunnels of a process, for those who tell of it or act on it. */
import type { TtunError } from '../errors.ts';
import type { TunnelStats } from '../stats.ts';

export type TunnelEvent =
  | { readonly kind: 'opened'; readonly tunnel: string; readonly stats: TunnelStats }
  /** It is open, but can't work before its device is back. When that is so, it is told to be opened again. */
  | { readonly kind: 'impaired'; readonly tunnel: string; readonly error: TtunError }
  /** It can't be opened before its peer's name is resolved, which is tried until it works. Told once for each reason. */
  | { readonly kind: 'waiting'; readonly tunnel: string; readonly error: TtunError }
  /** The name of its peer has got another address. */
  | { readonly kind: 'peer'; readonly tunnel: string; readonly remote: string; readonly previous: string }
  | {
      /** It is not open, or no longer. Told once for each problem, however often it is met again. */
      readonly kind: 'failed';
      readonly tunnel: string;
      readonly error: TtunError;
      /** When it is tried again, in ms. */
      readonly retryInMs: number;
      /** The last figures of a tunnel that was open; `null` when it could not be opened. */
      readonly stats: TunnelStats | null;
    }
  | {
      /** It was ended on purpose. */
      readonly kind: 'closed';
      readonly tunnel: string;
      /** The last figures; `null` when it was never open. */
      readonly stats: TunnelStats | null;
    };

export type TunnelListener = (event: TunnelEvent) => void;
