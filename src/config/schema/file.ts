/** A whole configuration file. */
import * as v from 'valibot';
import { InvalidValue } from '../../address.ts';
import type { ZoneLookup } from '../../address.ts';
import { parseListen } from '../../http/listen.ts';
import type { ResolvedOptions, TunnelOptions } from '../../options.ts';
import { FILE_DEFAULTS } from '../../tunnel-defaults.ts';
import { parsedBy, text } from './actions.ts';
import { agreeing } from './agreement.ts';
import type { SchemaOf } from './agreement.ts';
import { tunnelSchema } from './tunnel.ts';

/** What a file holds, in the notation of TOML or JSON. */
export interface ConfigFile {
  /** Where the schema for editors is, in JSON files. */
  readonly $schema?: string;
  readonly http?: {
    /** Where metrics and the page are served. */
    readonly listen: string;
  };
  /** The tunnels by their names. */
  readonly tunnels: { readonly [name: string]: TunnelOptions };
}

export interface ResolvedFile {
  readonly $schema?: string | undefined;
  readonly http?: { readonly listen: string } | undefined;
  readonly tunnels: Readonly<Record<string, ResolvedOptions>>;
}

export function fileSchema(zones: ZoneLookup): SchemaOf<ConfigFile, ResolvedFile> {
  return agreeing<ConfigFile>()(
    v.pipe(
      v.strictObject({
        $schema: v.optional(
          v.pipe(
            v.string(),
            v.metadata({
              description: 'Where the schema for editors is.',
              examples: ['./node_modules/ttun/schema/ttun.schema.json'],
            }),
          ),
        ),
        http: v.optional(HTTP),
        tunnels: v.pipe(
          v.record(TUNNEL_NAME, tunnelSchema({ zones, ...FILE_DEFAULTS })),
          v.metadata({ description: 'The tunnels by their names.', minProperties: 1 }),
          parsedBy((tunnels) => {
            if (Object.keys(tunnels).length > 0) return tunnels;
            throw new InvalidValue('no tunnel is there', 'add tunnels.NAME with device, local and remote');
          }),
        ),
      }),
      v.metadata({ title: 'ttun', description: 'The configuration of ttun up.' }),
    ),
  );
}

const HTTP = v.pipe(
  v.strictObject({
    listen: text(
      {
        description:
          'Address and port at which /metrics, /stats and the page are served to everybody who can reach them: 127.0.0.1 and [::1] are reached from this host only, as is a port alone; :9750 stands for all addresses of this host.',
        examples: ['127.0.0.1:9750', '[::1]:9750', ':9750'],
        pattern: '^(.*:)?\\d{1,5}$',
      },
      checkListen,
    ),
  }),
  v.metadata({ description: 'Metrics and a page of the tunnels by HTTP. Absent: none.' }),
);

/** It is parsed again by the server, which others start with text, too. */
function checkListen(listen: string): string {
  parseListen(listen);
  return listen;
}

const TUNNEL_NAME = text({ pattern: '^[A-Za-z0-9._-]{1,64}$' }, (name) => {
  if (/^[\w.-]{1,64}$/.test(name)) return name;
  throw new InvalidValue(
    name.length > 64 ? 'the name of a tunnel is longer than 64 characters' : 'is not a name for a tunnel',
    'use letters, digits and . _ - as in [tunnels.office]',
  );
});
