/** Names of kernel settings, and the command that changes one. */

/** The setting of an interface, or of `all`: `net.ipv4.conf.eth0.rp_filter`. */
export function settingOf(device: string, setting: string): string {
  return ['net', 'ipv4', 'conf', device, setting].join(device.includes('.') ? '/' : '.');
}

/** With slashes, a name may have dots in it (sysctl(8)). */
export function settingCommand(name: string, value: number): string {
  return `sysctl -w ${name}=${value}`;
}

/** Its file under `/proc/sys`. */
export function settingPath(name: string): string {
  return `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`;
}
