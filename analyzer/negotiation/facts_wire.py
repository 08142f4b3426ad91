"""The last NEGOTIATE and its answer -> facts under Wireshark's names.

A member that the message or the capture does not have is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.faults import offer_whole
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Found
from analyzer.smb import constants, smb1, smb2
from analyzer.smb.contexts import Context

_CAPABILITIES = (
    ("dfs", constants.CAP_DFS),
    ("leasing", constants.CAP_LEASING),
    ("large_mtu", constants.CAP_LARGE_MTU),
    ("multi_channel", constants.CAP_MULTI_CHANNEL),
    ("persistent_handles", constants.CAP_PERSISTENT_HANDLES),
    ("directory_leasing", constants.CAP_DIRECTORY_LEASING),
    ("encryption", constants.CAP_ENCRYPTION),
)
_IDS = (
    (constants.PREAUTH_INTEGRITY, "hash_algorithm"),
    (constants.ENCRYPTION, "cipher_id"),
    (constants.COMPRESSION, "comp_alg_id"),
    (constants.RDMA_TRANSFORM, "rdma_transform_id"),
    (constants.SIGNING, "signing_id"),
)
_SMB1_MODE = (
    ("mode", constants.SMB1_USER_SECURITY),
    ("password", constants.SMB1_ENCRYPT_PASSWORDS),
    ("signatures", constants.SMB1_SIGNING_ENABLED),
    ("sig_required", constants.SMB1_SIGNING_REQUIRED),
)


class _Names(NamedTuple):
    """The names of facts that both directions have. capabilities, ids: with the bit or context type of each."""

    sign_enabled: str
    sign_required: str
    capabilities: tuple[tuple[str, int], ...]
    types: str
    ids: tuple[tuple[int, str], ...]
    netname: str | None


def _names(side: str, *, netname: bool) -> _Names:
    context = f"{side}.smb2.negotiate_context"
    return _Names(
        f"{side}.smb2.sec_mode.sign_enabled",
        f"{side}.smb2.sec_mode.sign_required",
        tuple((f"{side}.smb2.capabilities.{name}", bit) for name, bit in _CAPABILITIES),
        f"{context}.type",
        tuple((kind, f"{context}.{name}") for kind, name in _IDS),
        f"{context}.netname" if netname else None,
    )


_REQUEST, _RESPONSE = _names("request", netname=True), _names("response", netname=False)


def wire_facts(story: Story, found: Found) -> None:
    """Enter what the last request and its answer say, field by field."""
    request, response = story.request, None if story.superseded else story.response
    if request is not None:
        _request(request, found)
    if response is not None:
        _response(response, found)
    for placed in story.placed if "negative" in story.kinds else ():
        if placed.message.kind == "negative" and placed.message.error_code is not None:
            found["response.nbss.error_code"] = placed.message.error_code


def _request(placed: Placed, found: Found) -> None:
    message = placed.message
    found["request.smb.present"] = message.kind == "smb1"
    found["request.smb2.present"] = message.kind == "smb2"
    body, header = message.body, message.header
    if isinstance(header, smb1.Smb1Header):
        found["request.smb.flags2.sec_sig"] = bool(header.flags2 & constants.FLAGS2_SIGNED)
        found["request.smb.flags2.sec_sig_required"] = bool(header.flags2 & constants.FLAGS2_SIGNING_REQUIRED)
    if isinstance(body, smb1.NegotiateRequest) and offer_whole(message):
        found["request.smb.dialect.name"] = list(body.dialects)
    if isinstance(body, smb2.NegotiateRequest):
        if offer_whole(message):
            found["request.smb2.dialect"] = list(body.dialects)
        _optional("request.smb2.dialect_count", body.dialect_count, found)
        _optional("request.smb2.buffer_code", body.structure_size, found)
        _mode(_REQUEST, body.security_mode, found)
        _capabilities(_REQUEST, body.capabilities, found)
        if body.contexts is not None and message.complete:
            _optional("request.smb2.negotiate_context.count", body.context_count, found)
            _contexts(_REQUEST, body.contexts, found)


def _response(placed: Placed, found: Found) -> None:
    message = placed.message
    found["response.smb.present"] = message.kind == "smb1"
    found["response.smb2.present"] = message.kind == "smb2"
    if message.status is not None:
        found[f"response.{'smb' if message.kind == 'smb1' else 'smb2'}.nt_status"] = message.status
    body = message.body
    if isinstance(body, smb1.NegotiateResponse):
        _optional("response.smb.dialect.index", body.dialect_index, found)
        if body.security_mode is not None:
            for name, bit in _SMB1_MODE:
                found[f"response.smb.sm.{name}"] = bool(body.security_mode & bit)
        if body.capabilities is not None:
            extended = bool(body.capabilities & constants.SMB1_CAP_EXTENDED_SECURITY)
            found["response.smb.server_cap.extended_security"] = extended
    if isinstance(body, smb2.NegotiateResponse):
        _optional("response.smb2.dialect", body.dialect, found)
        _optional("response.smb2.buffer_code", body.structure_size, found)
        _mode(_RESPONSE, body.security_mode, found)
        _capabilities(_RESPONSE, body.capabilities, found)
        _optional("response.smb2.max_trans_size", body.max_transact_size, found)
        _optional("response.smb2.max_read_size", body.max_read_size, found)
        _optional("response.smb2.max_write_size", body.max_write_size, found)
        if body.contexts is not None and message.complete:
            _contexts(_RESPONSE, body.contexts, found)
    token = body.token if isinstance(body, (smb1.NegotiateResponse, smb2.NegotiateResponse)) else None
    if token is not None and token.mech_types:
        found["response.spnego.MechType"] = list(token.mech_types)


def _optional(name: str, value: int | None, found: Found) -> None:
    if value is not None:
        found[name] = value


def _mode(names: _Names, mode: int | None, found: Found) -> None:
    if mode is not None:
        found[names.sign_enabled] = bool(mode & constants.SIGNING_ENABLED)
        found[names.sign_required] = bool(mode & constants.SIGNING_REQUIRED)


def _capabilities(names: _Names, capabilities: int | None, found: Found) -> None:
    if capabilities is not None:
        for name, bit in names.capabilities:
            found[name] = bool(capabilities & bit)


def _contexts(names: _Names, contexts: Sequence[Context], found: Found) -> None:
    types = [context.type for context in contexts]
    found[names.types] = types
    for kind, name in names.ids:
        if kind in types:
            found[name] = [i for c in contexts if c.type == kind for i in c.ids]
    netname = next((c.name for c in contexts if c.type == constants.NETNAME and c.name is not None), None)
    if names.netname is not None and netname is not None:
        found[names.netname] = netname
