"""The tools of the lab `onboarding`: five services, and what each of them promises.

mailbox     keyed: the service drops a request that carries a key it has seen in the last day.
vpn         idempotent: a grant is there or it is not.
laptop      reconcilable: an order is an order, each time; but the shop can be asked which orders there are.
welcome     reconcilable: SMTP drops no repeats and gives no receipt, so a mail sent twice arrives twice; but the
            provider keeps a log of what it sent.
background  keyed, and deferred: the request is taken at once, and the result is brought back when it is there, by the token
            that went out with the request.
"""

from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage

from holdfast import NOT_HAPPENED, Call, Deferred, Happened, tool
from holdfast.labs.http_call import look, send, store
from holdfast.labs.smtp_call import hand_over
from holdfast.tools.function import Probed

SENDER = "it@corp.test"


@dataclass(frozen=True)
class Mailbox:
    address: str
    id: str


@tool(safety="keyed", key_ttl="24h", timeout="5s")
def create_mailbox(user: str, name: str, call: Call) -> Mailbox:
    """Create a mailbox; asked again under the same key, the service answers as it did the first time."""
    made = send("POST", "/mailboxes", {"user": user, "name": name}, key=call.key, timeout_seconds=4.0)
    return Mailbox(address=made["address"], id=made["id"])


@dataclass(frozen=True)
class Report:
    cleared: bool
    report: str


@tool(safety="keyed", key_ttl="24h", timeout="10s", callback=True, at_deadline="ask")
def check_background(user: str, name: str, call: Call) -> Report | Deferred:
    """Have somebody's background checked. The service takes the request, and brings the result when it has one."""
    request = {"user": user, "name": name, "token": call.token, "store": store()}
    taken = send("POST", "/checks", request, key=call.key, timeout_seconds=9.0)
    return Deferred(handle=taken["id"], until=timedelta(seconds=taken["due_seconds"]), by="the background check")


@dataclass(frozen=True)
class Grant:
    user: str
    profile: str


@tool(safety="idempotent", timeout="5s", retry={"attempts": 6, "backoff": "150ms..1s"})
def grant_vpn(user: str, call: Call) -> Grant:
    """Grant access to the VPN; granting what is granted changes nothing."""
    granted = send("PUT", f"/vpn/{user}", key=call.key, timeout_seconds=4.0)
    return Grant(user=granted["user"], profile=granted["profile"])


@dataclass(frozen=True)
class Order:
    id: str
    model: str


def find_order(user: str, model: str) -> Happened | Probed:
    """Whether the shop has an order for this user, whoever made it: nobody is to get two laptops."""
    orders = look("/orders", {"for": user})
    return Happened(Order(id=orders[0]["id"], model=orders[0]["model"])) if orders else NOT_HAPPENED


@tool(
    safety="reconcilable",
    probe=find_order,
    settles_within="300ms",
    probe_every="200ms",
    business_key="user",
    timeout="2s",
    retry={"attempts": 3, "backoff": "150ms..1s"},
)
def order_laptop(user: str, model: str, call: Call) -> Order:
    """Order a laptop. The shop takes every order that reaches it and knows no keys."""
    order = send("POST", "/orders", {"for": user, "model": model}, key=call.key, timeout_seconds=0.8)
    return Order(id=order["id"], model=order["model"])


@dataclass(frozen=True)
class Sent:
    to: str
    message_id: str


def find_mail(to: str, name: str, template: str, vpn_profile: str, call: Call) -> Happened | Probed:
    """Whether the provider's sent log has the mail with this call's key."""
    found = look("/mails", {"to": to, "key": _message_id(call)})
    return Happened(Sent(to=to, message_id=_message_id(call))) if found else NOT_HAPPENED


@tool(
    safety="reconcilable",
    probe=find_mail,
    settles_within="300ms",
    probe_every="200ms",
    business_key=("to", "template"),
    timeout="5s",
    retry={"attempts": 4, "backoff": "150ms..1s"},
)
def send_mail(to: str, name: str, template: str, vpn_profile: str, call: Call) -> Sent:
    """Send a mail over SMTP, under a Message-ID made from the call's key so that it can be found again."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = Address(name, addr_spec=to)
    message["Subject"] = f"Welcome, {name}"
    message["Message-ID"] = _message_id(call)
    message.set_content(f"Dear {name},\n\nyour mailbox is {to} and your VPN profile is {vpn_profile}.\n")
    hand_over(message)
    return Sent(to=to, message_id=_message_id(call))


def _message_id(call: Call) -> str:
    return f"<{call.key}@corp.test>"
