"""Story -> facts about what followed the NEGOTIATE: session, tree, validation, signing, encryption."""

from __future__ import annotations

from analyzer.negotiation.exchange import Placed
from analyzer.negotiation.facts_negotiate import PATIENCE_NS, seconds
from analyzer.negotiation.faults import offer_whole
from analyzer.negotiation.sequel import Step, error_body, tree_path
from analyzer.negotiation.story import Story
from analyzer.negotiation.vocabulary import Found
from analyzer.smb import constants, smb2
from analyzer.smb.sequel import ValidateNegotiateRequest, ValidateNegotiateResponse
from analyzer.smb.status import MORE_PROCESSING_REQUIRED, PENDING, SUCCESS, status_name

_NO_REFUSAL = (None, SUCCESS, PENDING, MORE_PROCESSING_REQUIRED)


def sequel_facts(story: Story, found: Found) -> None:
    """Enter what stands under connection. and speaks of the time after the NEGOTIATE."""
    _session_facts(story, found)
    _name_facts(story, found)
    _tree_facts(story, found)
    _validation_facts(story, found)
    sequel = story.sequel
    found["connection.signed_refused"] = sequel.signature_refused
    ended = story.coverage.whole and story.ending is not None
    if sequel.encrypted or not sequel.session.succeeded or sequel.signed_after is not None or ended:
        found["connection.encrypted"] = sequel.encrypted
    found["connection.plain_after_encrypt"] = sequel.plain_after_encrypt
    found["connection.plain_refused"] = sequel.plain_refused
    refusals = [p.message for p in story.placed if p.message.response and p.message.status not in _NO_REFUSAL]
    if refusals:
        found["connection.refusal"] = status_name(refusals[-1].status or 0)
    found["connection.smb1_refused_unsigned"] = sequel.smb1_unsigned_refused
    if sequel.signed_after is not None:
        found["connection.signed_after"] = sequel.signed_after


def _requested(story: Story, step: Step) -> bool | None:
    """Whether the client went that far; None where the capture does not show it."""
    if step.request is not None:
        return True
    return False if story.coverage.whole and story.ending is not None and not story.sequel.encrypted else None


def _session_facts(story: Story, found: Found) -> None:
    sequel, step = story.sequel, story.sequel.session
    requested = _requested(story, step)
    if requested is not None:
        found["connection.session_requested"] = requested
    if step.status is not None:
        found["connection.session_status"] = step.status
    up = step.succeeded or sequel.tree.request is not None or sequel.encrypted
    ended = story.coverage.whole and story.ending is not None
    if up or ended or step.status is not None:
        found["connection.session_up"] = up
    if sequel.session_flags is not None:
        found["connection.session_guest"] = bool(sequel.session_flags & constants.SESSION_GUEST)
        found["connection.session_null"] = bool(sequel.session_flags & constants.SESSION_NULL)
        found["connection.session_encrypts"] = bool(sequel.session_flags & constants.SESSION_ENCRYPT)
    if sequel.authenticated is not None:
        found["connection.session_authenticated"] = sequel.authenticated
    if sequel.binding is not None:
        found["connection.session_binding"] = sequel.binding
    waited = _unanswered(story, step)
    if waited is not None:
        found["connection.session_unanswered_5s"] = waited >= PATIENCE_NS
        found["connection.session_waited"] = seconds(waited)


def _unanswered(story: Story, step: Step) -> int | None:
    """How long the last SESSION_SETUP has waited in vain; None where it was answered or nothing tells."""
    request = step.request
    if request is None or step.response is not None or not story.coverage.whole:
        return None
    later = [p for p in story.placed if p.frame > request.frame]
    if any(p.from_client and p.message.kind != "keepalive" for p in later):
        return None
    if any(_answers(p, request) for p in story.placed):
        return None
    base = story.connection.bases[story.client_side]
    if base is not None:
        end = (base + request.message.end) & 0xFFFFFFFF
        acked = any(
            s.side != story.client_side and s.frame > request.frame and (s.ack - end) & 0xFFFFFFFF < 0x80000000
            for s in story.connection.segments
        )
        if not acked:
            return None
    until = story.capture_end_ns if story.ending is None else story.ending.segment.time_ns
    return max(0, until - request.time_ns)


def _answers(placed: Placed, request: Placed) -> bool:
    message = placed.message
    return bool(
        message.response
        and placed.frame >= request.frame
        and message.command == request.message.command
        and message.message_id == request.message.message_id
    )


def _host_of(target: str) -> str:
    """The host in a service principal name or path: "cifs/fs1.example.com" -> "fs1.example.com"."""
    host = target.split("/", 1)[1] if "/" in target else target
    return host.split("/", 1)[0].rstrip(".").casefold()


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _name_facts(story: Story, found: Found) -> None:
    authenticate, challenge = story.sequel.authenticate, story.sequel.challenge
    if authenticate is None:
        return
    if authenticate.user:
        found["connection.user"] = authenticate.user
    target = authenticate.target_name
    if not target:
        return
    found["connection.target"] = target
    names = {story.server.host}
    if challenge is not None:
        names |= {n.casefold() for n in (challenge.nb_computer, challenge.dns_computer) if n}
    host = _host_of(target)
    # An address says nothing where the capture shows another one: it may have been translated on the way.
    if host == story.server.host or (len(names) > 1 and not _is_address(host)):
        found["connection.target_differs"] = host not in names and host.split(".", 1)[0] not in names


def _tree_facts(story: Story, found: Found) -> None:
    sequel, step = story.sequel, story.sequel.tree
    requested = _requested(story, step)
    if requested is not None:
        found["connection.tree_requested"] = requested
    if step.status is not None:
        found["connection.tree_status"] = step.status
    if step.response is not None:
        found["connection.tree_up"] = step.succeeded
    if step.request is not None:
        found["connection.tree_signed"] = step.request.message.signed
    path = tree_path(step)
    if path is not None:
        found["connection.tree_path"] = path
        found["connection.tree_ipc"] = path.upper().rstrip("\0").endswith("IPC$")
    if sequel.share_flags is not None:
        found["connection.share_encrypts"] = bool(sequel.share_flags & constants.SHARE_ENCRYPT_DATA)
    error = error_body(step)
    if error is not None and error.cluster_dialect is not None:
        found["connection.cluster_dialect"] = constants.dialect_name(error.cluster_dialect)


def _validation_facts(story: Story, found: Found) -> None:
    step = story.sequel.validation
    if step.request is None:
        # Behind encryption, and before the session is up, nothing says that it was not sent.
        if story.coverage.whole and not story.sequel.encrypted:
            found["connection.validated"] = False
        return
    found["connection.validated"] = True
    if step.response is not None:
        found["connection.validate_answered"] = True
        found["connection.validate_protected"] = step.response.message.signed
    elif story.coverage.whole and story.ending is not None:
        found["connection.validate_answered"] = False
    if step.status is not None:
        found["connection.validate_status"] = step.status
    final = story.final
    if final is None or final.response is None:
        return
    answer = final.response.message.body
    if not isinstance(answer, smb2.NegotiateResponse):
        return
    asked = None if final.request is None else final.request.message.body
    differing: list[str] = []
    lowers = False
    claimed = step.request.message.body
    whole = step.request.message.complete and final.request is not None and offer_whole(final.request.message)
    if isinstance(claimed, ValidateNegotiateRequest) and isinstance(asked, smb2.NegotiateRequest) and whole:
        between = _request_differences(asked, claimed)
        found["connection.validate_request_differs"] = bool(between)
        differing += between
        lowers |= max(claimed.dialects, default=0) > max(asked.dialects, default=0)
        lowers |= bool((claimed.capabilities or 0) & ~(asked.capabilities or 0))
        dropped = story.ending is not None and not story.ending.by_client and story.stage == "validate-request"
        if dropped:
            # The server found the difference; what shows is a dialect below the client's best.
            lowers |= (answer.dialect or 0) < max(asked.dialects, default=0)
    reply = None if step.response is None or not step.response.message.complete else step.response.message
    stated = None if reply is None else reply.body
    if isinstance(stated, ValidateNegotiateResponse) and not step.status and final.response.message.complete:
        between = _answer_differences(answer, stated)
        found["connection.validate_answer_differs"] = bool(between)
        differing += between
        lowers |= (stated.dialect or 0) > (answer.dialect or 0)
        lowers |= bool((stated.capabilities or 0) & ~(answer.capabilities or 0))
    found["connection.validate_lowers"] = lowers
    found["connection.validate_detail"] = "; ".join(differing) or "nothing that this capture shows"


def _hex(value: int | None) -> str:
    return "nothing" if value is None else f"0x{value:X}"


def _request_differences(
    asked: smb2.NegotiateRequest, claimed: ValidateNegotiateRequest
) -> list[str]:
    pairs = (
        ("Capabilities", _hex(asked.capabilities), _hex(claimed.capabilities)),
        ("SecurityMode", _hex(asked.security_mode), _hex(claimed.security_mode)),
        ("ClientGuid", (asked.client_guid or b"").hex(), (claimed.guid or b"").hex()),
        ("Dialects", _dialects(asked.dialects), _dialects(claimed.dialects)),
    )
    return [f"{what} was {was} in the NEGOTIATE request, {now} later" for what, was, now in pairs if was != now]


def _answer_differences(
    answer: smb2.NegotiateResponse, stated: ValidateNegotiateResponse
) -> list[str]:
    pairs = (
        ("Capabilities", _hex(answer.capabilities), _hex(stated.capabilities)),
        ("SecurityMode", _hex(answer.security_mode), _hex(stated.security_mode)),
        ("ServerGuid", (answer.server_guid or b"").hex(), (stated.guid or b"").hex()),
        ("Dialect", _dialects((answer.dialect or 0,)), _dialects((stated.dialect or 0,))),
    )
    return [f"{what} was {was} in the NEGOTIATE answer, {now} later" for what, was, now in pairs if was != now]


def _dialects(dialects: tuple[int, ...]) -> str:
    return ", ".join(constants.dialect_name(d) for d in dialects)
