"""Translation of the errors of obstore into ours. Its own texts hold URLs, which may carry a signature, so only parts
that are known to be harmless are taken from them.
"""

import re
from typing import NamedTuple

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Fault, Passing
from bacalhau.plugins.clouds.cloud import Cloud
from bacalhau.plugins.clouds.params import Place

ANEW = "run the job again: its inputs are listed anew"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]{1,200})")
_PATH = re.compile(r'Path "(.*?)":? contained|Path "(.*?)": ', re.S)
_TRANSIENT = ("408", "429", "500", "502", "503", "504")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "ContainerBeingDeleted")
_NETWORK = (  # words of the libraries below, and ours
    ("dns error", "host not found"),
    ("refused", "connection refused"),
    ("certificate", "its certificate is not trusted"),
    ("imed out", "no answer in time"),
    ("TimedOut", "no answer in time"),
    ("", "connection lost"),
)


class AbsentObject(StorageFailure):
    """A bucket that is there has no such object."""


class AccessRefused(StorageFailure):
    """The credentials may not do it."""


class ChangedObject(StorageFailure):
    """An object is not the one that was listed."""


class Stranger(StorageFailure):
    """Something else than a store answers."""


class Scene(NamedTuple):
    """The request that failed: the object's key, "" for the bucket itself, and as whom it was asked."""

    cloud: Cloud
    place: Place
    key: str
    who: str

    @property
    def thing(self) -> str:
        there = self.cloud.at(self.place)
        return f"object {shorten(self.key)} in {there}" if self.key else there


def translate(scene: Scene, error: Exception) -> StorageFailure:
    """Make our error of one that obstore raised."""
    whole = str(error)
    said = whole.partition("\n\nDebug source")[0]
    found = _STATUS.search(said)
    status, code = (found[1] if found else ""), _first(_CODE, said)
    is_absent = status == "404" or isinstance(error, FileNotFoundError)
    if "token" in said.lower() and "request" in said.lower():
        return _identity_fault(scene, status, whole)
    if "Encountered object with invalid path" in said:
        return _odd_key(scene, said)
    if is_absent:
        return _absent(scene, code)
    if status == "412":
        return _changed(scene)
    if status in ("401", "403"):
        return _refused(scene, code)
    if status in _TRANSIENT:
        text = f"{scene.thing}: {scene.cloud.title} answers {status}" + (f" {code}" if code else "")
        return _passing(scene, text, Fault(f"the store answers {status}"))
    if not status and any(word in said for word in ("HTTP error", "imed out", "body", "connection")):
        return _unreached(scene, whole)
    return _unknown(scene, status, code, _first(_MESSAGE, said))


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _passing(scene: Scene, said: str, fault: Fault) -> StorageFailure:
    kind = scene.cloud.kind
    return Passing(f"{kind}: {said}", hint="the store may be overloaded or away", component=kind.upper()).because(fault)


def _changed(scene: Scene) -> StorageFailure:
    said = f"{scene.cloud.kind}: {scene.thing} changed after it was listed"
    return ChangedObject(said, hint=ANEW, component=scene.cloud.kind.upper())


def _absent(scene: Scene, code: str) -> StorageFailure:
    cloud = scene.cloud
    if not scene.key or code in _NO_BUCKET:
        hint = f"check the name of the {cloud.word}, and the account or project that it is in"
        return cloud.fault(f"{cloud.at(scene.place)} does not exist", hint)
    hint = "check the key, which is case-sensitive; end it with * or / for all that begin so"
    return AbsentObject(f"{cloud.kind}: there is no {scene.thing}", hint=hint, component=cloud.kind.upper())


def _refused(scene: Scene, code: str) -> StorageFailure:
    who = f"as {scene.who}" if scene.who else "without credentials"
    told = f": {code}" if code else ""
    cure = "check its rights" if scene.who else f"{scene.cloud.cure}, on the machine that asks"
    kind = scene.cloud.kind
    return AccessRefused(f"{kind}: no access to {scene.thing} {who}{told}", hint=cure, component=kind.upper())


def _identity_fault(scene: Scene, status: str, whole: str) -> StorageFailure:
    why = f"the answer was {status}" if status else _network(whole)
    said = f"no token could be had for {scene.cloud.title} as {scene.who}: {why}"
    if status and status not in _TRANSIENT:
        return scene.cloud.fault(said, f"{scene.cloud.cure}; for what is public, opt=anonymous=true asks without")
    return _passing(scene, said, Fault("no token could be had", answered=bool(status)))


def _odd_key(scene: Scene, said: str) -> StorageFailure:
    found = _PATH.search(said)
    key = next(filter(None, found.groups()), "") if found else ""
    fault = "its key has an empty name, a dot for a name, or control characters"
    said = f"object {shorten(key)!r} in {scene.cloud.at(scene.place)} can be no file: {fault}"
    return scene.cloud.fault(said, "rename the object, or choose a prefix that leaves it out")


def _unreached(scene: Scene, whole: str) -> StorageFailure:
    why = _network(whole)
    if "certificate" in why:
        return scene.cloud.fault(f"{scene.thing}: {why}", "have this machine trust the server's certificate")
    return _passing(scene, f"{scene.thing}: {why}", Fault(why, answered=why == "connection lost"))


def _network(whole: str) -> str:
    return next(ours for word, ours in _NETWORK if word in whole)


def _unknown(scene: Scene, status: str, code: str, message: str) -> StorageFailure:
    if status:
        told = ": ".join(filter(None, (status, code, message)))
        return scene.cloud.fault(f"{scene.thing}: {scene.cloud.title} answers {told}")
    said = f"{scene.thing}: what answers there does not speak as {scene.cloud.title} does"
    kind = scene.cloud.kind
    return Stranger(f"{kind}: {said}", hint="check the endpoint, and proxies on the way", component=kind.upper())
