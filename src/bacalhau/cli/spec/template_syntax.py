"""Reading Go's text/template, as far as job files use it: text and actions become a tree, which `template` fills in."""

import re
from collections import deque
from typing import Any, NamedTuple

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import decode

_ACTION = re.compile(r'\{\{(-(?=\s))?((?:"(?:\\.|[^"\\\n])*"|`[^`]*`|/\*.*?\*/|(?!\}\}).)*?)((?<=\s)-)?\}\}', re.DOTALL)
_TOKEN = re.compile(
    r'\s+|(?P<text>"(?:\\.|[^"\\\n])*")|(?P<raw>`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?\b)|(?P<variable>\$\w*(?:\.\w+)*)'
    r"|(?P<field>(?:\.\w+)+)|(?P<dot>\.)|(?P<mark>:=|=|\||\(|\)|,)|(?P<word>[A-Za-z_]\w*)"
)
_ELSE, _END = "else", "end"


class Token(NamedTuple):
    kind: str
    text: str


class Operand(NamedTuple):
    """`kind` is literal, field, variable, word (a function) or pipe (in parentheses)."""

    kind: str
    value: Any


class Pipe(NamedTuple):
    """Commands joined by `|`, each a list of operands; `names` are the variables that get the value."""

    names: tuple[str, ...]
    commands: tuple[tuple[Operand, ...], ...]


class Text(NamedTuple):
    text: str


class Show(NamedTuple):
    pipe: Pipe


class Block(NamedTuple):
    """`if`, `with` or `range`."""

    word: str
    pipe: Pipe
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]"


Node = Text | Show | Block


def read_template(text: str) -> tuple[Node, ...]:
    """Parse a template. Raises BadRequest that names the line."""
    pieces = _pieces(text)
    nodes, ended = _nodes(pieces, nested=False)
    if ended:
        raise broken(ended[0], f"unexpected {{{{{ended[1][0].text}}}}}")
    return nodes


def broken(line: int, what: str) -> BadRequest:
    return BadRequest(f"failed to parse template: line {line}: {what}", hint="--no-template leaves braces as they are")


_Piece = tuple[int, list[Token]] | str


def _pieces(text: str) -> deque[_Piece]:
    """Texts, and the tokens of actions with their lines; `{{-` and `-}}` have eaten the blanks beside them."""
    pieces: deque[_Piece] = deque()
    at, is_trimmed = 0, False
    for found in _ACTION.finditer(text):
        between = text[at : found.start()]
        between = between.lstrip() if is_trimmed else between
        pieces.append(_closed(between.rstrip() if found[1] else between, text, at))
        line = text.count("\n", 0, found.start()) + 1
        if not found[2].strip().startswith("/*"):
            pieces.append((line, _tokens(found[2], line)))
        at, is_trimmed = found.end(), bool(found[3])
    pieces.append(_closed(text[at:].lstrip() if is_trimmed else text[at:], text, at))
    return pieces


def _closed(between: str, text: str, at: int) -> str:
    if "{{" in between:
        raise broken(text.count("\n", 0, at) + 1 + between[: between.index("{{")].count("\n"), "unclosed action")
    return between


def _tokens(text: str, line: int) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise broken(line, f"unexpected {text[at:].split()[0]!r} in an action")
        if found.lastgroup:
            tokens.append(Token(found.lastgroup, found[0]))
        at = found.end()
    if not tokens:
        raise broken(line, "missing value for command")
    return tokens


def _nodes(pieces: deque[_Piece], *, nested: bool) -> tuple[tuple[Node, ...], tuple[int, list[Token]] | None]:
    """Nodes up to the `else` or `end` that ends them, and that."""
    nodes: list[Node] = []
    while pieces:
        piece = pieces.popleft()
        if isinstance(piece, str):
            nodes.append(Text(piece))
            continue
        line, tokens = piece
        word = tokens[0].text
        if word in (_ELSE, _END):
            return tuple(nodes), (line, tokens)
        nodes.append(
            _block(line, tokens, pieces) if word in ("if", "with", "range") else Show(_whole_pipe(tokens, line))
        )
    if nested:
        raise broken(1, "unexpected end of the file, {{end}} is missing")
    return tuple(nodes), None


def _block(line: int, tokens: list[Token], pieces: deque[_Piece]) -> Block:
    word, pipe = tokens[0].text, _whole_pipe(tokens[1:], line)
    body, ended = _nodes(pieces, nested=True)
    otherwise: tuple[Node, ...] = ()
    if ended and ended[1][0].text == _ELSE:
        after = ended[1][1:]
        if after:
            return Block(word, pipe, body, (_block(ended[0], after, pieces),))
        otherwise, ended = _nodes(pieces, nested=True)
        if ended and ended[1][0].text == _ELSE:
            raise broken(ended[0], "unexpected {{else}}")
    return Block(word, pipe, body, otherwise)


def _whole_pipe(tokens: list[Token], line: int) -> Pipe:
    queue = deque(tokens)
    pipe = _pipe(queue, line)
    if queue:
        raise broken(line, f"unexpected {queue[0].text!r} in an action")
    return pipe


def _pipe(queue: deque[Token], line: int) -> Pipe:
    names = _names(queue)
    commands = [_command(queue, line)]
    while queue and queue[0].text == "|":
        queue.popleft()
        commands.append(_command(queue, line))
    return Pipe(names, tuple(commands))


def _names(queue: deque[Token]) -> tuple[str, ...]:
    """`$x :=` or `$k, $v :=`, taken from the queue when they are there."""
    tokens = list(queue)
    for width in (1, 3):
        if len(tokens) > width and tokens[width].text in (":=", "=") and tokens[0].kind == "variable":
            for _ in range(width + 1):
                queue.popleft()
            return tuple(t.text for t in tokens[:width:2])
    return ()


def _command(queue: deque[Token], line: int) -> tuple[Operand, ...]:
    operands: list[Operand] = []
    while queue and queue[0].text not in ("|", ")"):
        operands.append(_operand(queue, line))
    if not operands:
        raise broken(line, "missing value for command")
    return tuple(operands)


def _operand(queue: deque[Token], line: int) -> Operand:
    kind, text = queue.popleft()
    if text == "(":
        pipe = _pipe(queue, line)
        if not queue or queue.popleft().text != ")":
            raise broken(line, "unclosed left paren")
        return Operand("pipe", pipe)
    if kind in ("field", "dot"):
        return Operand("field", tuple(text.split(".")[1:]) if kind == "field" else ())
    if kind in ("variable", "word") and text not in ("true", "false", "nil"):
        return Operand(kind, text)
    if kind == "mark":
        raise broken(line, f"unexpected {text!r} in an action")
    return Operand("literal", _literal(kind, text, line))


def _literal(kind: str, text: str, line: int) -> Any:
    if kind == "raw":
        return text[1:-1]
    if text == "nil":
        return None
    try:
        return decode(text, Any)
    except ValueError as e:
        raise broken(line, f"bad text {text}") from e
