"""Rules for keys and values of labels: those of Kubernetes, shared by labels and selectors."""

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_RULE = "must consist of letters, digits, '-', '_' or '.', and must start and end with a letter or digit"


def key_problem(key: str) -> str:
    """Say why `key` is no label key (`[prefix/]name`); "" when it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        return f'key: Invalid value: "{key}": prefix part must be a lower-case domain name'
    if not name:
        return f'key: Invalid value: "{key}": name part must not be empty'
    if len(name) > 63:
        return f'key: Invalid value: "{key}": name part must be no more than 63 characters'
    return "" if _NAME.fullmatch(name) else f'key: Invalid value: "{key}": name part {_RULE}'


def value_problem(value: str) -> str:
    """Say why `value` is no label value; "" when it is one. The empty value is one."""
    if len(value) > 63:
        return f'value: Invalid value: "{value}": must be no more than 63 characters'
    return "" if not value or _NAME.fullmatch(value) else f'value: Invalid value: "{value}": {_RULE}'


def label_problem(key: str, value: str) -> str:
    return key_problem(key) or value_problem(value)
