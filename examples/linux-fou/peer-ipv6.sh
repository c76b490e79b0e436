# The other end of the tunnel `fou6` of ttun.toml, over IPv6, in the kernel. Run as root on 2001:db8:1::2. Needs the kernel modules
# fou6 and ip6_tunnel.
set -e
modprobe fou6
modprobe ip6_tunnel

ip -6 fou add port 8000 gue

# "encaplimit none" keeps a destination option out of the outer header, which network cards and firewalls treat badly.
# "encap-udp6-csum" sends UDP checksums, which IPv6 requires.
ip link add name tun1 type ip6tnl mode any remote 2001:db8:1::1 local 2001:db8:1::2 hoplimit 64 encaplimit none encap fou encap-sport 8000 encap-dport 8000 encap-udp6-csum
ip link set dev tun1 mtu 1452 up
ip address add 10.0.3.2/24 dev tun1
ip address add fd00:3::2/64 dev tun1
