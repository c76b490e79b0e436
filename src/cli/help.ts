export const HELP = `Joins a TUN device to a UDP socket: each IP packet travels as one datagram. Two of them make a tunnel.

  ttun [options] <tun> <local-ip> <local-port> <remote-ip> <remote-port>
  ttun lab [--help]        tries it out between two sites made on this machine

  <tun>                    an existing TUN device: ip tuntap add dev tun0 mode tun [user <name>]
  <local-ip> <local-port>  where this host receives datagrams
  <remote-ip> <remote-port>  where the other host does; nobody else's datagrams are received
                           Two IPv4 or two IPv6 addresses; link-local ones as fe80::1%eth0.

Options
  -q, --quiet    do not print packets
  -v, --verbose  print every packet; those that pass too fast for that are counted
      --json     print no packets, but lines of JSON: {"event":"attached","stats":{…}} at the start, and at the end
                 {"event":"closed","stats":{…}} or {"event":"failed","error":{…},"stats":{…}}
  -h, --help     print this
  -V, --version  print the version

Prints packets as they pass, in the manner of tcpdump, at most ten a second. Packets and JSON go to standard output,
everything else to standard error. When standard output is closed, the tunnel goes on without printing.
Colour on terminals only, and never when NO_COLOR is set.

Ctrl-C ends the tunnel with a summary of what it carried; a second one ends it at once.
Exit code 0 after SIGINT, SIGTERM or SIGHUP, 1 when the tunnel cannot be opened or fails, 2 for wrong arguments.

Example, on the host 192.0.2.1 and with the addresses exchanged on the host 192.0.2.2
  ip tuntap add dev tun0 mode tun
  ip addr add 10.0.2.1/24 dev tun0
  ip link set dev tun0 up
  ttun tun0 192.0.2.1 8000 192.0.2.2 8000
`;
