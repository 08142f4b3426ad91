"""Every fact that a rule can use: its name, its exact type and what it says.

`request.` and `response.` are the last NEGOTIATE request and its answer, followed by Wireshark's
field name (`smb.*` where the message is SMB1, `smb2.*` where it is SMB2). What Wireshark has no
name for stands under `connection.`, what other connections of the same run show under
`others.`, and what a capture holds beside TCP under `capture.`. A fact that the capture cannot show is left out, so that every comparison with it is
unknown. Facts marked `summary_only` differ from connection to connection: a summary may print
them, a condition may not use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Fact(NamedTuple):
    """One name of the vocabulary. type: bool, int, double, string, list<int> or list<string>."""

    name: str
    type: str
    doc: str
    summary_only: bool = False


Value = bool | int | float | str | list[int] | list[str]
Facts = Mapping[str, Value]
Found = dict[str, Value]
"""Facts while they are put together."""

_REQUEST: Final = (
    Fact("request.smb.present", "bool", "the last NEGOTIATE request is an SMB1 message"),
    Fact("request.smb2.present", "bool", "the last NEGOTIATE request is an SMB2 message"),
    Fact("request.smb.dialect.name", "list<string>", "dialect strings of an SMB1 request"),
    Fact("request.smb.flags2.sec_sig", "bool", "SMB1 request: the client signs"),
    Fact("request.smb.flags2.sec_sig_required", "bool", "SMB1 request: the client requires signing"),
    Fact("request.smb2.dialect", "list<int>", "dialects of an SMB2 request"),
    Fact("request.smb2.dialect_count", "int", "DialectCount of an SMB2 request"),
    Fact("request.smb2.buffer_code", "int", "StructureSize of an SMB2 request"),
    Fact("request.smb2.sec_mode.sign_enabled", "bool", "client: signing enabled"),
    Fact("request.smb2.sec_mode.sign_required", "bool", "client: signing required"),
    Fact("request.smb2.capabilities.dfs", "bool", "client: DFS"),
    Fact("request.smb2.capabilities.leasing", "bool", "client: leasing"),
    Fact("request.smb2.capabilities.large_mtu", "bool", "client: large MTU (multi-credit)"),
    Fact("request.smb2.capabilities.multi_channel", "bool", "client: multichannel"),
    Fact("request.smb2.capabilities.persistent_handles", "bool", "client: persistent handles"),
    Fact("request.smb2.capabilities.directory_leasing", "bool", "client: directory leasing"),
    Fact("request.smb2.capabilities.encryption", "bool", "client: encryption (3.0 and 3.0.2)"),
    Fact("request.smb2.negotiate_context.count", "int", "contexts announced (3.1.1)"),
    Fact("request.smb2.negotiate_context.type", "list<int>", "types of the contexts"),
    Fact("request.smb2.negotiate_context.hash_algorithm", "list<int>", "preauth integrity hashes"),
    Fact("request.smb2.negotiate_context.cipher_id", "list<int>", "ciphers offered"),
    Fact("request.smb2.negotiate_context.comp_alg_id", "list<int>", "compression algorithms offered"),
    Fact("request.smb2.negotiate_context.signing_id", "list<int>", "signing algorithms offered"),
    Fact("request.smb2.negotiate_context.rdma_transform_id", "list<int>", "RDMA transforms offered"),
    Fact("request.smb2.negotiate_context.netname", "string", "server name the client asked for", True),
)

_RESPONSE: Final = (
    Fact("response.smb.present", "bool", "the answer is an SMB1 message"),
    Fact("response.smb2.present", "bool", "the answer is an SMB2 message"),
    Fact("response.smb.nt_status", "int", "status of an SMB1 answer"),
    Fact("response.smb.dialect.index", "int", "index of the chosen dialect string, 0xFFFF for none"),
    Fact("response.smb.sm.mode", "bool", "SMB1 server: user level security"),
    Fact("response.smb.sm.password", "bool", "SMB1 server: encrypted passwords"),
    Fact("response.smb.sm.signatures", "bool", "SMB1 server: signing enabled"),
    Fact("response.smb.sm.sig_required", "bool", "SMB1 server: signing required"),
    Fact("response.smb.server_cap.extended_security", "bool", "SMB1 server: extended security"),
    Fact("response.smb2.nt_status", "int", "status of an SMB2 answer"),
    Fact("response.smb2.dialect", "int", "dialect the server selected; 0x02FF asks for another NEGOTIATE"),
    Fact("response.smb2.buffer_code", "int", "StructureSize of the answer"),
    Fact("response.smb2.sec_mode.sign_enabled", "bool", "server: signing enabled"),
    Fact("response.smb2.sec_mode.sign_required", "bool", "server: signing required"),
    Fact("response.smb2.capabilities.dfs", "bool", "server: DFS"),
    Fact("response.smb2.capabilities.leasing", "bool", "server: leasing"),
    Fact("response.smb2.capabilities.large_mtu", "bool", "server: large MTU (multi-credit)"),
    Fact("response.smb2.capabilities.multi_channel", "bool", "server: multichannel"),
    Fact("response.smb2.capabilities.persistent_handles", "bool", "server: persistent handles"),
    Fact("response.smb2.capabilities.directory_leasing", "bool", "server: directory leasing"),
    Fact("response.smb2.capabilities.encryption", "bool", "server: encryption (3.0 and 3.0.2)"),
    Fact("response.smb2.max_trans_size", "int", "MaxTransactSize in bytes", True),
    Fact("response.smb2.max_read_size", "int", "MaxReadSize in bytes", True),
    Fact("response.smb2.max_write_size", "int", "MaxWriteSize in bytes", True),
    Fact("response.smb2.negotiate_context.type", "list<int>", "types of the answer's contexts (3.1.1)"),
    Fact("response.smb2.negotiate_context.hash_algorithm", "list<int>", "preauth integrity hash chosen"),
    Fact("response.smb2.negotiate_context.cipher_id", "list<int>", "cipher chosen, 0 for none"),
    Fact("response.smb2.negotiate_context.comp_alg_id", "list<int>", "compression algorithms chosen"),
    Fact("response.smb2.negotiate_context.signing_id", "list<int>", "signing algorithm chosen"),
    Fact("response.smb2.negotiate_context.rdma_transform_id", "list<int>", "RDMA transforms chosen"),
    Fact("response.spnego.MechType", "list<string>", "mechanisms the server's security buffer names"),
    Fact("response.nbss.error_code", "int", "code of a NetBIOS negative session response"),
)

_TRANSPORT: Final = (
    Fact("connection.client", "string", "address and port of the client", True),
    Fact("connection.server", "string", "address and port of the server", True),
    Fact("connection.server_host", "string", "address of the server", True),
    Fact("connection.port", "int", "TCP port of the server"),
    Fact("connection.outcome", "string",
         "what the connection is if no cause is found: negotiated, unused or incomplete"),
    Fact("connection.syn", "bool", "the client's SYN was captured"),
    Fact("connection.syn_ack", "bool",
         "the server's SYN/ACK was captured; false only where the SYN was and nothing shows that TCP came up"),
    Fact("connection.syn_repeated", "bool", "the client sent its SYN two times or more, same sequence number"),
    Fact("connection.refused", "bool", "the server side answered the SYN with RST, and TCP did not come up"),
    Fact("connection.icmp_type", "int", "type of the ICMP (IPv4: 3) or ICMPv6 (1) error that quotes the SYN"),
    Fact("connection.icmp_code", "int", "code of that error"),
    Fact("connection.icmp_sender", "string", "address of the device that sent the ICMP error", True),
    Fact("connection.up", "bool", "TCP came up (SYN/ACK, or data flowed); false only where a SYN shows it did not"),
    Fact("connection.both_sides", "bool", "packets of both sides were captured"),
    Fact("connection.one_sided", "bool",
         "only one side was captured although its acknowledgements show that the other one spoke"),
    Fact("connection.mid_stream", "bool", "no SYN was captured and the first SMB message is not a NEGOTIATE"),
    Fact("connection.gap", "bool", "bytes are missing where the NEGOTIATE or its answer must be"),
    Fact("connection.truncated", "bool", "the snap length cut bytes of the NEGOTIATE or its answer"),
    Fact("connection.client_bytes", "bool",
         "the client sent payload; false only where the capture shows that it did not"),
    Fact("connection.server_bytes", "bool",
         "the server sent payload; false only where the capture shows that it did not"),
    Fact("connection.client_speaks", "string",
         "what the client's first bytes are: smb, netbios, tls, http, ssh, banner, other or nothing"),
    Fact("connection.server_speaks", "string",
         "what the server's first bytes are: smb, netbios, tls, http, ssh, banner, other or nothing"),
    Fact("connection.closed", "bool", "a FIN or RST was captured after TCP was up"),
    Fact("connection.closed_by", "string", "client or server: who sent the first FIN or RST after TCP was up"),
    Fact("connection.closed_with", "string", "fin or rst: how that side closed"),
    Fact("connection.closed_after", "string",
         "the last thing that both sides had exchanged before the close: handshake, session-request, "
         "request, renegotiate, answer, second-request, session-setup-request, session-setup-challenge, session-setup, "
         "session-setup-refused, tree-connect-request, tree-connect, tree-connect-refused, "
         "validate-request, validate, encrypted, other; left out where a gap hides it"),
    Fact("connection.closed_at_once", "bool", "the server closed within 5 s of the handshake, before any byte"),
)

_NEGOTIATION: Final = (
    Fact("connection.negotiates", "int", "NEGOTIATE requests (TCP retransmissions are not counted)"),
    Fact("connection.request_captured", "bool", "the last NEGOTIATE request was captured, and whole"),
    Fact("connection.offer_captured", "bool", "all dialects of the last NEGOTIATE request were captured"),
    Fact("connection.request_judged", "bool",
         "enough of the last NEGOTIATE request was captured to say whether it has a fault"),
    Fact("connection.first_is_negotiate", "bool",
         "the client's first SMB message is a NEGOTIATE; left out where the start was not captured"),
    Fact("connection.first_command", "string", "name of the client's first SMB command", True),
    Fact("connection.second_negotiate", "bool",
         "a NEGOTIATE follows an answer that had already named a real dialect"),
    Fact("connection.answered", "bool",
         "the last NEGOTIATE was answered; false only where the capture shows that no answer came "
         "before the close or its own end"),
    Fact("connection.answered_late", "bool", "the answer came after the client had closed"),
    Fact("connection.request_acked", "bool", "TCP acknowledged the whole last NEGOTIATE"),
    Fact("connection.request_resent", "bool", "the NEGOTIATE was sent again 3 times or more"),
    Fact("connection.waited_5s", "bool",
         "5 s or more passed between the unanswered NEGOTIATE (or the answer 0x02FF, which asks for another one) "
         "and the close, or the capture's end"),
    Fact("connection.waited", "string", "that time, as text", True),
    Fact("connection.slow", "bool", "the answer took more than 1 s beyond the handshake's round trip"),
    Fact("connection.response_time", "string", "time from NEGOTIATE to answer, as text", True),
    Fact("connection.skewed", "bool",
         "the server's clock and the capture's differ by more than 300 s (and the clock runs)"),
    Fact("connection.skew", "string", "that difference, as text", True),
    Fact("connection.offered", "string", "all dialects the client offered, as text", True),
    Fact("connection.selected", "string", "the dialect the server selected last, as text", True),
    Fact("connection.offers_smb2", "bool", "the client offered an SMB2 or SMB3 dialect, in either protocol"),
    Fact("connection.offers_311", "bool", "the client offered 3.1.1"),
    Fact("connection.dialect_offered", "bool", "the selected dialect is one that the client offered"),
    Fact("connection.request_fault", "string",
         "what is wrong in an SMB2 request that can be walked: none, structure-size, no-dialects, "
         "dialects-overrun, context (bad offset, count, length, alignment, empty list or a duplicate), preauth-missing"),
    Fact("connection.request_fault_detail", "string", "that fault in words", True),
    Fact("connection.preauth_repeated", "bool", "the request carries the preauth integrity context twice"),
    Fact("connection.newer_contexts", "bool", "the request carries contexts with types above 0x0003"),
    Fact("connection.response_fault", "string",
         "first fault of a successful SMB2 answer, in the order of MS-SMB2 3.2.5.2: none, fixed, dialect, "
         "security-buffer, context, preauth-missing, signing-algorithm, sizes"),
    Fact("connection.response_fault_detail", "string", "that fault in words", True),
    Fact("connection.small_sizes", "bool", "MaxTransactSize, MaxReadSize or MaxWriteSize is below 65536"),
    Fact("connection.client_can_encrypt", "bool",
         "the client offered encryption: capability at 3.0/3.0.2, or a cipher at 3.1.1"),
    Fact("connection.server_can_encrypt", "bool",
         "the answer grants encryption: capability at 3.0/3.0.2, or a cipher other than 0 at 3.1.1"),
)

_SEQUEL: Final = (
    Fact("connection.session_requested", "bool",
         "the client went on to SESSION_SETUP; false only where the capture shows that it did not"),
    Fact("connection.session_status", "int",
         "status of the last SESSION_SETUP answer; STATUS_PENDING and MORE_PROCESSING_REQUIRED aside"),
    Fact("connection.session_up", "bool", "a SESSION_SETUP succeeded (or later messages show that one did)"),
    Fact("connection.session_guest", "bool", "the server made it a guest session"),
    Fact("connection.session_null", "bool", "the server made it an anonymous session"),
    Fact("connection.session_encrypts", "bool", "the server asked for encryption of the session"),
    Fact("connection.session_authenticated", "bool",
         "the last SESSION_SETUP carried a complete authentication (NTLM AUTHENTICATE or a Kerberos ticket)"),
    Fact("connection.session_binding", "bool", "the last SESSION_SETUP binds a channel to an existing session"),
    Fact("connection.session_unanswered_5s", "bool",
         "the last SESSION_SETUP has no answer for 5 s or more, while TCP acknowledged it"),
    Fact("connection.target_differs", "bool",
         "the target name in the NTLM AUTHENTICATE is neither the server's own name nor its address"),
    Fact("connection.user", "string", "user name in the NTLM AUTHENTICATE", True),
    Fact("connection.target", "string", "target name in the NTLM AUTHENTICATE", True),
    Fact("connection.session_waited", "string", "how long the SESSION_SETUP waited, as text", True),
    Fact("connection.signed_after", "bool",
         "the client signed what it sent after the first SESSION_SETUP success; left out before that"),
    Fact("connection.signed_refused", "bool", "a signed request was answered with STATUS_INVALID_SIGNATURE"),
    Fact("connection.encrypted", "bool",
         "encrypted messages were seen; left out where the session is up and nothing after that was captured"),
    Fact("connection.tree_requested", "bool",
         "the client went on to TREE_CONNECT; false only where the capture shows that it did not"),
    Fact("connection.tree_status", "int", "status of the last TREE_CONNECT answer"),
    Fact("connection.tree_up", "bool", "a TREE_CONNECT succeeded"),
    Fact("connection.tree_signed", "bool", "the last plain TREE_CONNECT was signed"),
    Fact("connection.tree_path", "string", "path of the last TREE_CONNECT", True),
    Fact("connection.tree_ipc", "bool", "the last TREE_CONNECT asked for IPC$"),
    Fact("connection.share_encrypts", "bool", "the share asks for encryption"),
    Fact("connection.plain_refused", "bool",
         "a plain request was refused with STATUS_ACCESS_DENIED after the session or the share had asked for encryption"),
    Fact("connection.refusal", "string", "status of the answer that refused the client last, as text", True),
    Fact("connection.plain_after_encrypt", "bool",
         "the client went on in plain although the session or the share asks for encryption"),
    Fact("connection.validated", "bool", "the client sent VALIDATE_NEGOTIATE_INFO"),
    Fact("connection.validate_answered", "bool",
         "it was answered; false only where the capture shows that it was not"),
    Fact("connection.validate_status", "int", "status of the answer"),
    Fact("connection.validate_protected", "bool", "the answer was signed (or encrypted)"),
    Fact("connection.validate_request_differs", "bool", "the request's values differ from the NEGOTIATE request"),
    Fact("connection.validate_answer_differs", "bool", "the answer's values differ from the NEGOTIATE answer"),
    Fact("connection.validate_lowers", "bool", "what differs lowers the dialect or takes capabilities away"),
    Fact("connection.validate_detail", "string", "what differs, in words", True),
    Fact("connection.cluster_dialect", "string", "maximum dialect of a clustered share, as text", True),
    Fact("connection.smb1_refused_unsigned", "bool",
         "SMB1: an unsigned request after the NEGOTIATE was refused with STATUS_ACCESS_DENIED"),
)

_OTHERS: Final = (
    Fact("others.came_up", "bool",
         "another connection of the same client and server (any SMB port) negotiated, at the same time or later"),
    Fact("others.raced", "bool",
         "within 1 s the same client opened the server's other SMB port, and that connection went on"),
    Fact("others.server_heard", "bool", "some packet of the server's address was captured on another connection"),
    Fact("others.reset_elsewhere", "bool",
         "the server's RST has another TTL than its SYN/ACKs, here or on other connections: a device on the "
         "path may have sent it"),
    Fact("others.scanner", "bool",
         "three or more connections of the client with unequal offers were left after the answer, none with SESSION_SETUP"),
    Fact("others.higher_dialect", "bool",
         "the same client and server agreed on a higher dialect elsewhere with the same offer"),
    Fact("others.higher_dialect_name", "string", "that dialect, as text", True),
    Fact("others.server_speaks_smb1", "bool", "another connection shows the server answering with an SMB1 dialect"),
    Fact("others.old_contexts_accepted", "bool",
         "the server accepted another client's NEGOTIATE that had no contexts above 0x0003"),
    Fact("others.zero_guid", "bool", "the server's ServerGuid on another connection is all zero"),
    Fact("others.altered", "bool",
         "a 3.1.1 NEGOTIATE or answer with the same random salt was captured with other contents: another "
         "capture point, and something in between that changes it"),
)

_CAPTURE: Final = (
    Fact("capture.quic", "bool",
         "QUIC handshakes on UDP 443 were captured, between hosts that else speak SMB or where no SMB connection "
         "is (rules on a capture as a whole)"),
    Fact("capture.quic_frame", "int", "the first of them", True),
    Fact("capture.rdma", "bool", "SMB Direct traffic was captured (rules on a capture as a whole)"),
    Fact("capture.rdma_kind", "string", "iWARP or RoCE", True),
    Fact("capture.rdma_frame", "int", "the first frame of it", True),
)

VOCABULARY: Final[Mapping[str, Fact]] = {
    fact.name: fact
    for group in (_REQUEST, _RESPONSE, _TRANSPORT, _NEGOTIATION, _SEQUEL, _OTHERS, _CAPTURE)
    for fact in group
}

# Which frames a rule may name as its evidence; story.py fills them.
EVIDENCE: Final = (
    "syn", "syn-ack", "reset", "fin", "icmp", "close", "first", "client-first", "server-first", "first-command",
    "request", "response", "first-request", "first-response", "netbios",
    "session-setup", "session-setup-response", "tree-connect", "tree-connect-response",
    "validate", "validate-response", "gap", "snapped", "last", "resent", "quic", "rdma",
)
