# The other end of the tunnel `fou` of ttun.toml, over IPv4, in the kernel. Run as root on 192.0.2.2. Needs the kernel modules fou
# and sit.
set -e
modprobe fou
modprobe sit

# Receives on UDP port 8000. "gue" takes bare IPv4 and IPv6 packets alike (GUE variant 1), "ipproto 4" would take IPv4 alone.
ip fou add port 8000 gue

# Sends from port 8000 to port 8000. "encap fou" adds no header of its own; "encap gue" would, and ttun drops such packets.
# Both ports must be given: ttun accepts datagrams from its remote only, port included.
ip link add name tun0 type sit mode any remote 192.0.2.1 local 192.0.2.2 ttl 64 encap fou encap-sport 8000 encap-dport 8000
ip link set dev tun0 mtu 1472 up
ip address add 10.0.2.2/24 dev tun0
ip address add fd00:2::2/64 dev tun0
