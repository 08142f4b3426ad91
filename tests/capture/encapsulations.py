"""A TCP segment in every wrapping that is peeled off, as link type and frame bytes."""

from __future__ import annotations

import struct

from tests.capture.making import MAC, ethernet, ip4, ip6, tcp, udp

PAYLOAD = b"\0\0\0\x40\xfeSMB" + bytes(60)
V4 = ip4(tcp(PAYLOAD))
V6 = ip6(tcp(PAYLOAD))
OUTER = {"src": "192.168.0.1", "dst": "192.168.0.2", "ttl": 9}
VLAN_5 = b"\0\5"

_TYPE = {V4: b"\x08\x00", V6: b"\x86\xdd"}
_PPP = {V4: b"\x00\x21", V6: b"\x00\x57"}


def _mpls(label: int, bottom: int) -> bytes:
    return struct.pack(">I", label << 12 | bottom << 8 | 64)


def _pppoe(packet: bytes) -> bytes:
    return struct.pack(">BBHH", 0x11, 0, 7, len(packet) + 2) + _PPP[packet] + packet


def _snap(packet: bytes) -> bytes:
    return bytes.fromhex("aaaa03000000") + _TYPE[packet] + packet


def _wlan(packet: bytes, *, kind: int = 0x88, flags: int = 1, after: bytes = b"\0\0", pad: bytes = b"") -> bytes:
    fourth = bytes(6) if flags & 3 == 3 else b""
    return bytes([kind, flags, 0, 0]) + MAC + MAC[:6] + b"\x10\0" + fourth + after + pad + _snap(packet)


def _radiotap(frame: bytes, flags: int, *, clock: bool = False, words: int = 1) -> bytes:
    present = [0x80000000 | 2 | clock] * (words > 1) + [0x80000000] * (words - 2) + [0 if words > 1 else 2 | clock]
    fields = (bytes(-(4 + 4 * words) % 8) + bytes(8) if clock else b"") + bytes([flags, 0, 0, 0])
    head = struct.pack(f"<{words}I", *present) + fields
    return struct.pack("<BBH", 0, 0, 4 + len(head)) + head + frame


def _amsdu(*packets: bytes) -> bytes:
    frames = [MAC + struct.pack(">H", len(_snap(packet))) + _snap(packet) for packet in packets]
    body = b"".join(frame + bytes(-len(frame) % 4) for frame in frames[:-1]) + frames[-1]
    return b"\x88\x01\0\0" + MAC + MAC[:6] + b"\x10\0" + b"\x80\0" + body


def _links(packet: bytes) -> dict[str, tuple[int, bytes]]:
    kind, ppp = _TYPE[packet], _PPP[packet]
    family = {V4: (2, 2), V6: (30, 24)}[packet]
    return {
        "ethernet": (1, MAC + kind + packet),
        "ethernet-fcs": (1, MAC + kind + packet + b"FCS!"),
        "vlan": (1, MAC + b"\x81\x00" + VLAN_5 + kind + packet),
        "vlan-stack": (1, MAC + b"\x88\xa8\0\5\x91\0\0\6\x81\0\0\7" + kind + packet),
        "vn-tag": (1, MAC + b"\x89\x26\0\1\0\2" + kind + packet),
        "e-tag": (1, MAC + b"\x89\x3f\0\1\0\2\0\0" + kind + packet),
        "cisco-metadata": (1, MAC + b"\x89\x09\1\1\0\1\0\7" + kind + packet),
        "mac-in-mac": (1, MAC + b"\x88\xe7\0\0\0\7" + MAC + kind + packet),
        "snap": (1, MAC + struct.pack(">H", len(_snap(packet))) + _snap(packet) + b"pad"),
        "cooked": (113, struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + kind + packet),
        "cooked-vlan": (113, struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + b"\x81\x00\0\5" + kind + packet),
        "cooked-2": (276, kind + bytes(18) + packet),
        "raw": (101, packet),
        "raw-12": (12, packet),
        "raw-14": (14, packet),
        "null": (0, struct.pack("<I", family[0]) + packet),
        "null-swapped": (0, struct.pack(">I", family[0]) + packet),
        "loop": (108, struct.pack(">I", family[1]) + packet),
        "ppp": (9, b"\xff\x03" + ppp + packet),
        "ppp-bare": (9, ppp + packet),
        "ppp-compressed": (9, b"\xff\x03" + ppp[1:] + packet),
        "ppp-serial": (50, b"\xff\x03" + ppp + packet),
        "ppp-direction": (204, b"\x01\xff\x03" + ppp + packet),
        "ppp-ethernet": (51, _pppoe(packet)),
        "pppoe": (1, MAC + b"\x88\x64" + _pppoe(packet) + b"trailer"),
        "cisco-hdlc": (104, b"\x0f\0" + kind + packet),
        "mpls": (1, MAC + b"\x88\x47" + _mpls(100, 0) + _mpls(200, 1) + packet),
        "mpls-control-word": (1, MAC + b"\x88\x47" + _mpls(200, 1) + bytes(4) + b"\0\x50\x56\1\2\3\0\x0c\x29\1\2\3" + kind
                              + packet),
        "mpls-ethernet": (1, MAC + b"\x88\x47" + _mpls(200, 1) + b"\0\x50\x56\1\2\3\0\x0c\x29\1\2\3" + kind + packet),
        "wlan": (105, _wlan(packet)),
        "wlan-plain": (105, _wlan(packet, kind=0x08, after=b"")),
        "wlan-four-addresses": (105, _wlan(packet, flags=3)),
        "wlan-ht-control": (105, _wlan(packet, flags=0x81, after=b"\0\0" + bytes(4))),
        "radiotap": (127, _radiotap(_wlan(packet), 0)),
        "radiotap-padded": (127, _radiotap(_wlan(packet, pad=b"\0\0"), 0x20)),
        "radiotap-clock-fcs": (127, _radiotap(_wlan(packet) + b"FCS!", 0x10, clock=True)),
        "ppi": (192, struct.pack("<BBHI", 0, 0, 8, 1) + MAC + kind + packet),
    }


def _tunnels(packet: bytes, name: str) -> dict[str, tuple[int, bytes]]:
    kind = _TYPE[packet]
    inner = MAC + kind + packet

    def over(payload: bytes, protocol: int = 17) -> tuple[int, bytes]:
        if name == "4":
            return 1, ethernet(ip4(payload, protocol=protocol, **OUTER))  # type: ignore[arg-type]  # mixed values
        return 1, ethernet(ip6(payload, following=protocol, src="fd01::1", dst="fd01::2", hops=9), 0x86DD)

    gtp = struct.pack(">BBHI", 0x30, 255, len(packet), 5)
    return {
        "ip-in-ip": over(packet, 4 if packet == V4 else 41),
        "gre": over(b"\0\0" + kind + packet, 47),
        "gre-all-options": over(b"\xb0\0\x65\x58" + bytes(12) + inner, 47),
        "erspan-1": over(b"\0\0\x88\xbe" + inner, 47),
        "erspan-2": over(b"\x10\0\x88\xbe\0\0\0\1" + b"\x10\5\0\1\0\0\0\1" + inner, 47),
        "erspan-3": over(b"\x10\0\x22\xeb\0\0\0\1" + b"\x20\5\0\1" + bytes(8) + inner, 47),
        "erspan-3-subheader": over(b"\x10\0\x22\xeb\0\0\0\1" + b"\x20\5\0\1" + bytes(7) + b"\1\x04" + bytes(7) + inner, 47),
        "mpls-in-ip": over(_mpls(200, 1) + packet, 137),
        "etherip": over(b"\x30\0" + inner, 97),
        "vxlan": over(udp(b"\x08\0\0\0\0\0\5\0" + inner)),
        "vxlan-answer": over(udp(b"\x08\0\0\0\0\0\5\0" + inner, sport=4789, dport=60000)),
        "vxlan-gpe": over(udp(b"\x0c\0\0" + (b"\1" if packet == V4 else b"\2") + b"\0\0\5\0" + packet, dport=4790)),
        "geneve": over(udp(b"\x02\0\x65\x58\0\0\5\0" + b"\0\1\2\1abcd" + inner, dport=6081)),
        "geneve-ip": over(udp(b"\0\0" + kind + b"\0\0\5\0" + packet, dport=6081)),
        "gtp": over(udp(gtp + packet, sport=2152, dport=2152)),
        "gtp-extension": over(udp(struct.pack(">BBHI", 0x34, 255, len(packet) + 8, 5) + b"\0\0\0\x85\1\x10\t\0" + packet,
                                  sport=2152, dport=2152)),
        "mpls-in-udp": over(udp(_mpls(200, 1) + packet, dport=6635)),
        "gre-in-udp": over(udp(b"\0\0" + kind + packet, dport=4754)),
        "l2tp": over(udp(b"\x40\2" + struct.pack(">H", 12 + len(packet)) + b"\0\1\0\2\xff\3" + _PPP[packet] + packet,
                         sport=1701, dport=1701)),
        "nested": over(udp(b"\x08\0\0\0\0\0\5\0" + MAC + b"\x81\x00\0\5\x08\x00" + ip4(
            b"\0\0\x86\xdd" + ip6(packet, following=4 if packet == V4 else 41), protocol=47))),
    }


def _all() -> dict[str, tuple[int, bytes, bytes]]:
    made: dict[str, tuple[int, bytes, bytes]] = {}
    for label, packet in (("v4", V4), ("v6", V6)):
        found = _links(packet)
        for outer in "46":
            found |= {f"{name}-over-{outer}": value for name, value in _tunnels(packet, outer).items()}
        made |= {f"{name}-{label}": (*value, packet) for name, value in found.items()}
    made["raw-ipv4"] = (228, V4, V4)
    made["raw-ipv6"] = (229, V6, V6)
    made["teredo"] = (1, ethernet(ip4(udp(V6, sport=3544, dport=5555), protocol=17)), V6)
    made["teredo-origin"] = (1, ethernet(ip4(udp(bytes(8) + V6, sport=3544, dport=5555), protocol=17)), V6)
    made["wccp"] = (1, ethernet(ip4(b"\0\0\x88\x3e" + V4, protocol=47)), V4)
    made["wccp-2"] = (1, ethernet(ip4(b"\0\0\x88\x3e\0\0\0\0" + V4, protocol=47)), V4)
    made["pktap"] = (258, struct.pack("<III", 108, 1, 1) + bytes(96) + ethernet(V4), V4)
    made["amsdu-first"] = (105, _amsdu(V4), V4)
    return made


ENCAPSULATIONS = _all()
"""Name -> link type, frame, the IP packet with the TCP segment."""

AGGREGATE = _amsdu(V4, V6, V4)
"""An IEEE 802.11 frame with three packets in it."""
NOT_IN_TSHARK = frozenset({"pktap"})
"""Apple's header differs between its two link types; Wireshark reads another one under 258."""
