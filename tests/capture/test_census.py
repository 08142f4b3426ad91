"""capture/census.py: what else a capture holds."""

from analyzer.capture.census import Sighting
from analyzer.capture.headers import Decoder
from tests.capture.making import decoded, ethernet, ip4, pcap, tcp, udp

REQUEST = b"\0\0\0\x44\xfeSMB" + bytes(64)
ANSWER = b"\0\0\0\x44\xfeSMB" + bytes(12) + b"\1" + bytes(51)
OLD = b"\0\0\0\x44\xffSMB" + bytes(64)


def census_of(*frames: bytes) -> Decoder:
    """The decoder of a capture of these frames."""
    return decoded(pcap(frames))[1]


def test_ports_are_counted_by_the_lower_one() -> None:
    census = census_of(*[ethernet(ip4(tcp(dport=80)))] * 3, *[ethernet(ip4(tcp(sport=443)))] * 2).census
    assert census.tcp_ports == ((80, 3), (443, 2))
    assert census.tcp_segments == 5


def test_smb_on_another_port_is_found_by_its_bytes() -> None:
    """The server's port, whichever side speaks; not what only begins like SMB, not on 139 and 445."""
    census = census_of(
        ethernet(ip4(tcp(b"\0\0\0\x44\xfeSMX" + bytes(64), dport=4455))),
        ethernet(ip4(tcp(REQUEST, dport=4455))), ethernet(ip4(tcp(ANSWER, sport=4455, dport=40000))),
        ethernet(ip4(tcp(OLD, dport=1139))), ethernet(ip4(tcp(REQUEST))), ethernet(ip4(tcp(REQUEST, dport=139))),
    ).census
    assert census.smb_elsewhere == {1139: Sighting(4, 1), 4455: Sighting(2, 2)}


def test_quic_and_rdma() -> None:
    long = b"\xc3\0\0\0\1" + bytes(40)
    census = census_of(
        ethernet(ip4(udp(b"\x43" + bytes(40), dport=443), protocol=17)),
        ethernet(ip4(udp(long, dport=443), protocol=17)), ethernet(ip4(udp(long, sport=443, dport=50000), protocol=17)),
        ethernet(ip4(udp(long, dport=444), protocol=17)),
        ethernet(ip4(udp(bytes(20), dport=4791), protocol=17)), ethernet(bytes(60), 0x8915),
        ethernet(ip4(tcp(bytes(40), dport=5445))), ethernet(ip4(tcp(dport=5445))),
    ).census
    assert census.quic == Sighting(2, 2)
    # Whoever has port 443 is the server; the addresses of ip4() are the same in both packets.
    (first, second) = census.quic_hosts
    assert (first, second) == ((first[0], first[1]), (first[1], first[0]))
    assert census.quic_hosts == {first: 2, second: 3}
    assert census.rdma == {"RoCE": Sighting(5, 2), "iWARP": Sighting(7, 1)}


def test_nothing_is_nothing() -> None:
    census = Decoder().census
    assert (census.tcp_ports, census.smb_elsewhere, census.quic, census.rdma) == ((), {}, None, {})
