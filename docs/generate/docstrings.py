"""The extension of Griffe that shows examples of docstrings as code: they stand between plain paragraphs."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?:^>>> .*(?:\n(?!\n).+)*)", re.MULTILINE)


class Examples(griffe.Extension):
    """Puts each example into a block of Python."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object as it is found."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```python\n{found[0]}\n```", obj.docstring.value)
