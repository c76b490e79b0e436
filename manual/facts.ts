/** What the manual tells besides the specs of the commands. */

/** A name, and what it means. */
export type Fact = readonly [name: string, meaning: string];

export const ENVIRONMENT: readonly Fact[] = [
  ['NO_COLOR', 'when it is set to anything, nothing is coloured (see https://no-color.org)'],
  ['TERM', 'dumb stands for a terminal without colours, on which nothing can be watched live'],
  [
    'LC_ALL, LC_CTYPE, LANG',
    'the first that is set: unless it names UTF-8, ttun doctor marks what it finds by letters of ASCII',
  ],
  [
    'XDG_RUNTIME_DIR',
    'where the control sockets of an ordinary user are, in the folder ttun; without it in /tmp/ttun-<uid>',
  ],
  [
    'RUNTIME_DIRECTORY',
    'set by systemd, where a unit has RuntimeDirectory=ttun: where its control socket is',
  ],
  ['NOTIFY_SOCKET', 'set by systemd for ttun up: where it tells that it is ready, reloads, and how it fares'],
  ['WATCHDOG_USEC, WATCHDOG_PID', 'set by systemd for ttun up: how often it must be heard of'],
  ['SUDO_GID', 'set by sudo: a configuration file that this group can write is not warned of'],
];

export const SIGNALS: readonly Fact[] = [
  [
    'SIGINT, SIGTERM',
    'end every command in good order: Ctrl-C sends the first. A second one ends it at once, with an exit code of 128 and its number',
  ],
  ['SIGHUP', 'ends a command whose terminal has gone likewise; ttun up reads its configuration again'],
];

export const FILES: readonly Fact[] = [
  ['/dev/net/tun', 'the device by which programs attach to TUN devices'],
  ['ttun.toml', 'what ttun up reads where no other file is named'],
  ['/etc/ttun/<name>.toml', 'the configuration of the systemd unit ttun@<name>.service'],
  ['/run/ttun/', 'the control sockets of root and of services'],
];
